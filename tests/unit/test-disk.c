/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Disks that the test makes, of 8 MiB, with holes for all but what is looked at: partition tables by the
 * UEFI specification (5.3, GUID Partition Table), and superblocks with no more than what tells a file system
 * by. */

#include <dlfcn.h>
#include <endian.h>

#include "disk/raw.h"
#include "test-dir.h"

#define EXIT_SKIPPED 77

#define SECTOR         512U
#define SECTORS        16384U
#define ENTRIES        128U
#define ENTRY_SIZE     128U
#define ENTRY_SECTORS  (ENTRIES * ENTRY_SIZE / SECTOR)
#define FLAG_READ_ONLY (UINT64_C(1) << 60)
#define FLAG_NO_AUTO   (UINT64_C(1) << 63)

#if defined(__x86_64__)
#define ROOT   "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
#define HASHES "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"
#define USR    "8484680c-9521-48c6-9c11-b0720656f69e"
#elif defined(__aarch64__)
#define ROOT   "b921b045-1df0-41c3-af44-4c6f280d3fae"
#define HASHES "df3300ce-d69f-4c92-978c-9bfb0f38d820"
#define USR    "b0e01050-ee5f-4390-949a-9101b17104e9"
#elif defined(__riscv) && __riscv_xlen == 64
#define ROOT   "72ec70a6-cf74-40e6-bd49-4bda08e8f224"
#define HASHES "b6ed5582-440b-4209-b8da-5ff7c419ea3d"
#define USR    "beaec34b-8442-439b-a40b-984381ed097d"
#else
#define ROOT   ""
#define HASHES ""
#define USR    ""
#endif
/* A root for no processor that mctl runs on: Alpha's. */
#define FOREIGN "6523f8ae-3eb1-4e2a-a05a-18b695ae656f"
#define HOME    "933ac7e1-2eb4-4f13-b844-0e14e2aef915"
#define SRV     "3b8f8425-20e0-4f3b-907f-1a25a76f98e8"
#define ESP     "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
#define DATA    "0fc63daf-8483-4772-8e79-3d69d8477de4"

static int dir_fd;

/* --- making disks -------------------------------------------------------------------------------------- */

typedef struct Part {
        const char *type;
        uint64_t start, size; /* in sectors */
        uint64_t flags;
} Part;

static void put_at(int fd, const void *data, size_t size, uint64_t at)
{
        if (pwrite(fd, data, size, (off_t) at) != (ssize_t) size)
                abort();
}

static int make_disk(void)
{
        int fd = openat(dir_fd, "disk.raw", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0 || ftruncate(fd, (off_t) SECTORS * SECTOR) < 0)
                abort();
        return fd;
}

/* CRC-32 as of ISO 3309. */
static uint32_t crc32(const void *data, size_t size)
{
        const uint8_t *p = data;
        uint32_t crc = UINT32_MAX;

        while (size-- > 0) {
                crc ^= *p++;
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
        }
        return ~crc;
}

static void set16(uint8_t *at, uint16_t value)
{
        value = htole16(value);
        memcpy(at, &value, sizeof(value));
}

static void set32(uint8_t *at, uint32_t value)
{
        value = htole32(value);
        memcpy(at, &value, sizeof(value));
}

static void set64(uint8_t *at, uint64_t value)
{
        value = htole64(value);
        memcpy(at, &value, sizeof(value));
}

/* The first three fields of a GUID are little-endian. */
static void set_guid(uint8_t at[static 16], const char *text)
{
        static const unsigned order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
        unsigned n = 0, byte;

        for (const char *p = text; *p && n < 16; p += 2) {
                p += *p == '-';
                if (sscanf(p, "%2x", &byte) != 1)
                        abort();
                at[order[n++]] = (uint8_t) byte;
        }
}

/* A table at sector `own`, with the entries at `entries_at`. */
static void put_table(int fd, const uint8_t *entries, uint64_t own, uint64_t other, uint64_t entries_at)
{
        uint8_t header[SECTOR] = "EFI PART";

        set32(header + 8, 0x10000);
        set32(header + 12, 92);
        set64(header + 24, own);
        set64(header + 32, other);
        set64(header + 40, 2 + ENTRY_SECTORS);
        set64(header + 48, SECTORS - 2 - ENTRY_SECTORS);
        set_guid(header + 56, "00112233-4455-6677-8899-aabbccddeeff");
        set64(header + 72, entries_at);
        set32(header + 80, ENTRIES);
        set32(header + 84, ENTRY_SIZE);
        set32(header + 88, crc32(entries, (size_t) ENTRIES * ENTRY_SIZE));
        set32(header + 16, crc32(header, 92));
        put_at(fd, header, sizeof(header), own * SECTOR);
        put_at(fd, entries, (size_t) ENTRIES * ENTRY_SIZE, entries_at * SECTOR);
}

/* The UUIDs of partitions are …01, …02 and so on. */
static void put_gpt(int fd, const Part *parts, size_t n)
{
        _cleanup_free_ uint8_t *entries = calloc(ENTRIES, ENTRY_SIZE);
        uint8_t mbr[SECTOR] = {};

        if (!entries)
                abort();
        mbr[446 + 4] = 0xee;
        set32(mbr + 446 + 8, 1);
        set32(mbr + 446 + 12, SECTORS - 1);
        set16(mbr + 510, 0xaa55);
        put_at(fd, mbr, sizeof(mbr), 0);
        for (size_t i = 0; i < n; i++) {
                uint8_t *e = entries + i * ENTRY_SIZE;
                if (!parts[i].type)
                        continue;
                set_guid(e, parts[i].type);
                set_guid(e + 16, "aaaabbbb-cccc-dddd-eeee-000000000000");
                e[31] = (uint8_t) (i + 1);
                set64(e + 32, parts[i].start);
                set64(e + 40, parts[i].start + parts[i].size - 1);
                set64(e + 48, parts[i].flags);
        }
        put_table(fd, entries, 1, SECTORS - 1, 2);
        put_table(fd, entries, SECTORS - 1, 1, SECTORS - 1 - ENTRY_SECTORS);
}

/* File systems begin at a sector. */
static void put_ext4(int fd, uint64_t start)
{
        uint8_t superblock[1024] = {};

        set32(superblock, 16);          /* inodes */
        set32(superblock + 4, 64);      /* blocks */
        set16(superblock + 56, 0xef53); /* magic */
        set32(superblock + 76, 1);      /* revision */
        set32(superblock + 92, 0x4);    /* a journal */
        set32(superblock + 96, 0x40);   /* extents */
        put_at(fd, superblock, sizeof(superblock), start * SECTOR + 1024);
}

static void put_squashfs(int fd, uint64_t start)
{
        uint8_t superblock[96] = "hsqs";

        set32(superblock + 12, 131072);
        set16(superblock + 28, 4);
        set64(superblock + 40, 4096);
        put_at(fd, superblock, sizeof(superblock), start * SECTOR);
}

static void put_vfat(int fd, uint64_t start, uint16_t sectors)
{
        uint8_t boot[SECTOR] = { 0xeb, 0x3c, 0x90, 'm', 'k', 'f', 's', '.', 'f', 'a', 't' };

        set16(boot + 11, SECTOR);
        boot[13] = 1; /* sectors in a cluster */
        set16(boot + 14, 1);
        boot[16] = 2; /* tables */
        set16(boot + 17, 512);
        set16(boot + 19, sectors);
        boot[21] = 0xf8;
        set16(boot + 22, 12);
        memcpy(boot + 54, "FAT12   ", 8);
        set16(boot + 510, 0xaa55);
        put_at(fd, boot, sizeof(boot), start * SECTOR);
}

/* --- looking at them ----------------------------------------------------------------------------------- */

static void check_refused(int fd, const char *root_hash, const char *said)
{
        _cleanup_free_ char *error = NULL;
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;

        CHECK_INT(raw_dissect(fd, dir_fd, "disk", root_hash, &disk, &error), -EUCLEAN);
        CHECK_TEXT(error, said);
}

static bool dissect(int fd, RawDisk *ret)
{
        _cleanup_free_ char *error = NULL;

        if (CHECK_INT(raw_dissect(fd, dir_fd, "disk", NULL, ret, &error), 0) && CHECK(!error))
                return true;
        fprintf(stderr, "\tthat is: %s\n", strna(error));
        return false;
}

static void check_partition(const RawDisk *disk, PartitionRole role, unsigned number, const Part *part,
                            const char *fs, bool read_only)
{
        const Partition *p = disk->partitions + role;
        char uuid[RAW_UUID_LENGTH + 1];

        snprintf(uuid, sizeof(uuid), "aaaabbbbccccddddeeee0000000000%02x", number);
        CHECK_INT(p->number, number);
        CHECK_INT(p->offset, part->start * SECTOR);
        CHECK_INT(p->size, part->size * SECTOR);
        CHECK_TEXT(p->fs, fs);
        CHECK_INT(p->read_only, read_only);
        CHECK_TEXT(p->uuid, uuid);
}

static unsigned count_partitions(const RawDisk *disk)
{
        unsigned n = 0;

        for (PartitionRole role = 0; role < _PARTITION_ROLE_MAX; role++)
                n += disk->partitions[role].size > 0;
        return n;
}

/* --- tables -------------------------------------------------------------------------------------------- */

static void test_roles(void)
{
        static const Part parts[] = {
                { HOME, 2048, 1024 }, { FOREIGN, 3072, 1024 },
                { ROOT, 4096, 1024 }, {},
                { USR, 5120, 1024 },  { SRV, 6144, 1024, FLAG_READ_ONLY },
                { ESP, 7168, 2048 },  { DATA, 9216, 1024 },
        };
        _cleanup_close_ int fd = make_disk();
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;

        put_gpt(fd, parts, ELEMENTSOF(parts));
        put_ext4(fd, 2048);
        put_ext4(fd, 4096);
        put_squashfs(fd, 5120);
        put_ext4(fd, 6144);
        put_vfat(fd, 7168, 2048);
        if (!dissect(fd, &disk))
                return;
        check_partition(&disk, PARTITION_HOME, 1, parts, "ext4", false);
        check_partition(&disk, PARTITION_ROOT, 3, parts + 2, "ext4", false);
        check_partition(&disk, PARTITION_USR, 5, parts + 4, "squashfs", true);
        check_partition(&disk, PARTITION_SRV, 6, parts + 5, "ext4", true);
        check_partition(&disk, PARTITION_ESP, 7, parts + 6, "vfat", false);
        CHECK_INT(count_partitions(&disk), 5);
        CHECK_TEXT(disk.verity[PARTITION_ROOT].hash, "");
        CHECK_INT(disk.hashes_fd, -EBADF);
}

/* The first of each type counts, but for those that are not to be found. */
static void test_several(void)
{
        static const Part parts[] = {
                { ROOT, 2048, 1024, FLAG_NO_AUTO },
                { DATA, 3072, 1024 },
                { ROOT, 4096, 1024 },
                { ROOT, 5120, 1024 },
                { DATA, 6144, 1024 },
        };
        _cleanup_close_ int fd = make_disk();
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;

        put_gpt(fd, parts, ELEMENTSOF(parts));
        put_ext4(fd, 4096);
        if (dissect(fd, &disk))
                check_partition(&disk, PARTITION_ROOT, 3, parts + 2, "ext4", false);
}

static void test_plain(void)
{
        static const Part one[] = { { ESP, 2048, 1024, FLAG_NO_AUTO }, { DATA, 3072, 1024 } };
        static const Part two[] = { { DATA, 2048, 1024 }, { DATA, 3072, 1024 } };
        static const Part none[] = { { HOME, 2048, 1024 }, { FOREIGN, 3072, 1024 } };
        static const Part hidden[] = { { ROOT, 2048, 1024, FLAG_NO_AUTO } };
        static const struct {
                const Part *parts;
                size_t n;
                const char *said;
        } disks[] = {
                { two, 2, "The disk has 2 Linux partitions, and none has the type of a root partition." },
                { none, 2, "The disk has no root partition." },
                { hidden, 1, "The disk has no root partition." },
                { NULL, 0, "The disk has no root partition." },
        };
        _cleanup_close_ int fd = make_disk();
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;

        put_gpt(fd, one, ELEMENTSOF(one));
        put_squashfs(fd, 3072);
        if (dissect(fd, &disk)) {
                check_partition(&disk, PARTITION_ROOT, 2, one + 1, "squashfs", true);
                CHECK_INT(count_partitions(&disk), 1);
        }
        for (size_t i = 0; i < ELEMENTSOF(disks); i++) {
                _cleanup_close_ int other_fd = make_disk();
                put_gpt(other_fd, disks[i].parts, disks[i].n);
                check_refused(other_fd, NULL, disks[i].said);
        }
}

/* A table is there twice. */
static void test_damaged(void)
{
        static const Part root = { ROOT, 2048, 1024 };
        static const struct {
                uint64_t first, second; /* bytes that are changed; 0 for none */
                bool good;
        } changes[] = {
                /* the sums of the headers, and what they are of */
                { SECTOR + 16, 0, true },
                { SECTOR + 60, 0, true },
                { 0, (SECTORS - 1) * SECTOR + 16, true },
                { SECTOR + 16, (SECTORS - 1) * SECTOR + 16, false },
                { SECTOR + 60, (SECTORS - 1) * SECTOR + 60, false },
                /* the entries */
                { 2 * SECTOR + 32, 0, true },
                { 2 * SECTOR + 32, (SECTORS - 1 - ENTRY_SECTORS) * SECTOR + 32, false },
                { 33 * SECTOR + 511, (SECTORS - 2) * SECTOR + 511, false },
                /* the words at the beginning */
                { SECTOR, (SECTORS - 1) * SECTOR, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                _cleanup_close_ int fd = make_disk();
                _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;
                const uint64_t places[] = { changes[i].first, changes[i].second };

                put_gpt(fd, &root, 1);
                put_ext4(fd, 2048);
                for (size_t j = 0; j < ELEMENTSOF(places); j++) {
                        uint8_t byte;
                        if (places[j] == 0 || !CHECK_INT(pread(fd, &byte, 1, (off_t) places[j]), 1))
                                continue;
                        byte ^= 0x40;
                        put_at(fd, &byte, 1, places[j]);
                }
                if (changes[i].good && dissect(fd, &disk))
                        check_partition(&disk, PARTITION_ROOT, 1, &root, "ext4", false);
                else if (!changes[i].good)
                        check_refused(fd, NULL, "The GPT of the disk is damaged, or the file is truncated.");
        }
}

static void test_cut_off(void)
{
        static const Part root = { ROOT, 2048, 4096 };
        _cleanup_close_ int fd = make_disk();

        put_gpt(fd, &root, 1);
        put_ext4(fd, 2048);
        CHECK(ftruncate(fd, 4096 * SECTOR) >= 0);
        check_refused(fd, NULL, "The GPT of the disk is damaged, or the file is truncated.");

        /* An MBR says nothing of the size of the disk. */
        _cleanup_close_ int other_fd = make_disk();
        uint8_t mbr[SECTOR] = {};
        mbr[446 + 4] = 0x83;
        set32(mbr + 446 + 8, 2048);
        set32(mbr + 446 + 12, SECTORS);
        set16(mbr + 510, 0xaa55);
        put_at(other_fd, mbr, sizeof(mbr), 0);
        put_ext4(other_fd, 2048);
        check_refused(other_fd, NULL, "Partition 1 ends beyond the end of the disk; the file is truncated.");
}

static void test_mbr(void)
{
        _cleanup_close_ int fd = make_disk();
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;
        uint8_t mbr[SECTOR] = {};

        mbr[446 + 4] = 0x82; /* swap */
        set32(mbr + 446 + 8, 1024);
        set32(mbr + 446 + 12, 1024);
        mbr[462 + 4] = 0x83;
        set32(mbr + 462 + 8, 2048);
        set32(mbr + 462 + 12, SECTORS - 2048);
        set16(mbr + 510, 0xaa55);
        put_at(fd, mbr, sizeof(mbr), 0);
        put_ext4(fd, 2048);
        if (dissect(fd, &disk)) {
                const Partition *p = disk.partitions + PARTITION_ROOT;
                CHECK_INT(p->number, 2);
                CHECK_INT(p->offset, 2048 * SECTOR);
                CHECK_INT(p->size, (SECTORS - 2048) * SECTOR);
                CHECK_TEXT(p->fs, "ext4");
                CHECK(!p->read_only);
        }
        mbr[446 + 4] = 0x83;
        put_at(fd, mbr, sizeof(mbr), 0);
        check_refused(fd, NULL,
                      "The disk has 2 Linux partitions, and none has the type of a root partition.");
}

/* --- file systems -------------------------------------------------------------------------------------- */

static void test_bare(void)
{
        _cleanup_close_ int fd = make_disk();
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;

        check_refused(fd, NULL, "The disk has no known file system.");
        put_ext4(fd, 0);
        if (dissect(fd, &disk)) {
                const Partition *p = disk.partitions + PARTITION_ROOT;
                CHECK_INT(p->number, 0);
                CHECK_INT(p->offset, 0);
                CHECK_INT(p->size, SECTORS * SECTOR);
                CHECK_TEXT(p->fs, "ext4");
                CHECK(!p->read_only);
                CHECK_TEXT(p->uuid, "");
                CHECK_INT(count_partitions(&disk), 1);
        }
        put_squashfs(fd, 0);
        check_refused(fd, NULL, "The disk looks like several file systems at once.");
        CHECK(ftruncate(fd, 0) >= 0);
        check_refused(fd, NULL, "The disk is empty.");
}

static void test_file_systems(void)
{
        static const Part parts[] = { { ROOT, 2048, 2048 }, { HOME, 4096, 2048 } };
        _cleanup_close_ int fd = make_disk();
        _cleanup_free_ char *error = NULL;
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;

        put_gpt(fd, parts, ELEMENTSOF(parts));
        check_refused(fd, NULL, "Partition 1 (the root) has no known file system.");
        /* Who only reads the table does not mind. */
        CHECK_INT(raw_read_table(fd, dir_fd, "disk", NULL, &disk, &error), 0);
        CHECK_INT(disk.partitions[PARTITION_HOME].number, 2);
        CHECK_TEXT(disk.partitions[PARTITION_HOME].fs, "");

        put_vfat(fd, 2048, 2048);
        check_refused(
                fd, NULL,
                "Partition 1 (the root) has the file system 'vfat', which is not supported for machines.");
        put_at(fd, (uint8_t[SECTOR]){}, SECTOR, 2048 * SECTOR);
        put_at(fd, "LUKS\xba\xbe\0\1", 8, 2048 * SECTOR);
        check_refused(fd, NULL, "Partition 1 (the root) is encrypted; encrypted disks are not supported.");
        put_at(fd, (uint8_t[SECTOR]){}, SECTOR, 2048 * SECTOR);
        put_ext4(fd, 2048);
        check_refused(fd, NULL, "Partition 2 (/home) has no known file system.");
        put_squashfs(fd, 4096);
        CHECK(dissect(fd, &disk));
}

/* --- hashes -------------------------------------------------------------------------------------------- */

#define FIRST "aaaabbbbccccddddeeee000000000001"
#define THIRD "aaaabbbbccccddddeeee000000000003"
#define OTHER "0123456789abcdef0123456789abcdef"

/* Partitions are the ends of their root hash: so one that is demanded finds its own, or none. */
static void test_root_hash(void)
{
        static const Part parts[] = { { ROOT, 2048, 1024 }, { DATA, 3072, 1024 } };
        _cleanup_close_ int fd = make_disk();
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;
        _cleanup_free_ char *error = NULL;

        put_gpt(fd, parts, ELEMENTSOF(parts));
        put_ext4(fd, 2048);
        check_refused(fd, OTHER OTHER, "The disk has no root partition for root hash '" OTHER OTHER "'.");
        check_refused(fd, OTHER FIRST, "The disk has no root partition for root hash '" OTHER FIRST "'.");
        check_refused(fd, FIRST OTHER,
                      "Partition 1 (the root) has no hashes (dm-verity), and is not to be used without.");
        check_refused(fd, "signed",
                      "Partition 1 (the root) has no hashes (dm-verity), and is not to be used without.");
        CHECK_INT(raw_dissect(fd, dir_fd, "disk", "no", &disk, &error), 0);

        /* What stands beside the disk is demanded as well, unless nobody wants it. */
        test_put(dir_fd, "disk.roothash", OTHER OTHER "\n");
        check_refused(fd, NULL, "The disk has no root partition for root hash '" OTHER OTHER "'.");
        CHECK_INT(raw_dissect(fd, dir_fd, "disk", "no", &disk, &error), 0);
        test_put(dir_fd, "disk.roothash", "nonsense\n");
        check_refused(fd, NULL, "'disk.roothash' has no root hash in it.");
        CHECK_INT(raw_dissect(fd, dir_fd, "disk", "no", &disk, &error), 0);
        CHECK(unlinkat(dir_fd, "disk.roothash", 0) >= 0);
}

static void test_hashes(void)
{
        static const Part parts[] = { { ROOT, 2048, 1024 }, { HASHES, 3072, 8 }, { HASHES, 4096, 16 } };
        _cleanup_close_ int fd = make_disk();
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;
        _cleanup_free_ char *error = NULL;

        put_gpt(fd, parts, ELEMENTSOF(parts));
        put_ext4(fd, 2048);
        check_refused(fd, FIRST OTHER,
                      "Partition 1 (the root) has no hashes (dm-verity), and is not to be used without.");
        check_refused(fd, "signed", "Partition 1 (the root) is not signed.");
        if (!CHECK_INT(raw_dissect(fd, dir_fd, "disk", FIRST THIRD, &disk, &error), 0))
                return;
        const Verity *verity = disk.verity + PARTITION_ROOT;
        CHECK_TEXT(verity->hash, FIRST THIRD);
        CHECK(verity->required);
        CHECK_INT(verity->fd, fd);
        CHECK_INT(verity->hashes.number, 3);
        CHECK_INT(verity->hashes.offset, 4096 * SECTOR);
        CHECK_INT(verity->hashes.size, 16 * SECTOR);
        CHECK_TEXT(disk.verity[PARTITION_USR].hash, "");
        /* Hashes that nobody has signed are not used unless somebody demands them. */
        CHECK_INT(raw_dissect(fd, dir_fd, "disk", NULL, &disk, &error), 0);
        CHECK_TEXT(verity->hash, "");
        CHECK(!verity->required);
}

int main(void)
{
        const void *blkid = dlopen("libblkid.so.1", RTLD_NOW);

        if (!ROOT[0] || !blkid)
                return EXIT_SKIPPED;
        dir_fd = test_dir_open();
        test_roles();
        test_several();
        test_plain();
        test_damaged();
        test_cut_off();
        test_mbr();
        test_bare();
        test_file_systems();
        test_root_hash();
        test_hashes();
        fd_close(dir_fd);
        return test_end();
}
