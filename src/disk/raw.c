/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/raw.h"

#include <blkid/blkid.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "basic/failure.h"
#include "basic/random.h"
#include "basic/rootfs.h"
#include "basic/syscalls.h"
#include "disk/raw-hashes.h"
#include "disk/raw-text.h"
#include "mount/fs-context.h"

#define SECTOR         UINT64_C(512)
#define LOOP_ATTEMPTS  64U
#define LOOPS_MAX      4096U
#define FLAG_READ_ONLY (UINT64_C(1) << 60)
#define FLAG_NO_AUTO   (UINT64_C(1) << 63)
#define TYPE_MAX       40U

/* --- libblkid ------------------------------------------------------------------------------------------ */

/* libblkid is loaded only for a disk, since most machines run from directories. */
static struct {
        void *library;
        blkid_probe (*new_probe)(void);
        void (*free_probe)(blkid_probe);
        int (*set_device)(blkid_probe, int, blkid_loff_t, blkid_loff_t);
        int (*enable_superblocks)(blkid_probe, int);
        int (*set_superblocks_flags)(blkid_probe, int);
        int (*enable_partitions)(blkid_probe, int);
        int (*set_partitions_flags)(blkid_probe, int);
        int (*safeprobe)(blkid_probe);
        int (*lookup_value)(blkid_probe, const char *, const char **, size_t *);
        blkid_partlist (*get_partitions)(blkid_probe);
        int (*numof_partitions)(blkid_partlist);
        blkid_partition (*get_partition)(blkid_partlist, int);
        const char *(*get_type_string)(blkid_partition);
        int (*get_type)(blkid_partition);
        blkid_loff_t (*get_start)(blkid_partition);
        blkid_loff_t (*get_size)(blkid_partition);
        unsigned long long (*get_flags)(blkid_partition);
        int (*get_partno)(blkid_partition);
        const char *(*get_uuid)(blkid_partition);
} blkid;

static int load_blkid(void)
{
        static const struct {
                const char *name;
                void **target;
        } symbols[] = {
                { "blkid_new_probe", (void **) &blkid.new_probe },
                { "blkid_free_probe", (void **) &blkid.free_probe },
                { "blkid_probe_set_device", (void **) &blkid.set_device },
                { "blkid_probe_enable_superblocks", (void **) &blkid.enable_superblocks },
                { "blkid_probe_set_superblocks_flags", (void **) &blkid.set_superblocks_flags },
                { "blkid_probe_enable_partitions", (void **) &blkid.enable_partitions },
                { "blkid_probe_set_partitions_flags", (void **) &blkid.set_partitions_flags },
                { "blkid_do_safeprobe", (void **) &blkid.safeprobe },
                { "blkid_probe_lookup_value", (void **) &blkid.lookup_value },
                { "blkid_probe_get_partitions", (void **) &blkid.get_partitions },
                { "blkid_partlist_numof_partitions", (void **) &blkid.numof_partitions },
                { "blkid_partlist_get_partition", (void **) &blkid.get_partition },
                { "blkid_partition_get_type_string", (void **) &blkid.get_type_string },
                { "blkid_partition_get_type", (void **) &blkid.get_type },
                { "blkid_partition_get_start", (void **) &blkid.get_start },
                { "blkid_partition_get_size", (void **) &blkid.get_size },
                { "blkid_partition_get_flags", (void **) &blkid.get_flags },
                { "blkid_partition_get_partno", (void **) &blkid.get_partno },
                { "blkid_partition_get_uuid", (void **) &blkid.get_uuid },
        };

        if (blkid.library)
                return 0;
        void *library = dlopen("libblkid.so.1", RTLD_NOW | RTLD_NODELETE);
        for (size_t i = 0; library && i < ELEMENTSOF(symbols); i++)
                if (!(*symbols[i].target = dlsym(library, symbols[i].name)))
                        return -ELIBACC;
        blkid.library = library;
        return library ? 0 : -ELIBACC;
}

static void free_probe(blkid_probe *probe)
{
        if (*probe)
                blkid.free_probe(*probe);
}
#define _cleanup_probe_ _cleanup_(free_probe)

/* --- what is on it ------------------------------------------------------------------------------------- */

typedef struct FileSystem {
        const char *type, *kernel;
        /* read_only: cannot be written. boot: only for partitions that firmware reads. */
        bool read_only, boot;
} FileSystem;

static const FileSystem file_systems[] = {
        { "ext4", "ext4" },
        { "ext3", "ext4" },
        { "ext2", "ext4" },
        { "xfs", "xfs" },
        { "btrfs", "btrfs" },
        { "erofs", "erofs", .read_only = true },
        { "squashfs", "squashfs", .read_only = true },
        { "vfat", "vfat", .boot = true },
};

static const struct {
        PartitionRole role;
        const char *type;
        Part part;
} types[] = {
#if defined(__x86_64__)
        { PARTITION_ROOT, "4f68bce3-e8cd-4db1-96e7-fbcaf984b709" },
        { PARTITION_ROOT, "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5", PART_HASHES },
        { PARTITION_ROOT, "41092b05-9fc8-4523-994f-2def0408b176", PART_SIGNATURE },
        { PARTITION_USR, "8484680c-9521-48c6-9c11-b0720656f69e" },
        { PARTITION_USR, "77ff5f63-e7b6-4633-acf4-1565b864c0e6", PART_HASHES },
        { PARTITION_USR, "e7bb33fb-06cf-4e81-8273-e543b413e2e2", PART_SIGNATURE },
#elif defined(__aarch64__)
        { PARTITION_ROOT, "b921b045-1df0-41c3-af44-4c6f280d3fae" },
        { PARTITION_ROOT, "df3300ce-d69f-4c92-978c-9bfb0f38d820", PART_HASHES },
        { PARTITION_ROOT, "6db69de6-29f4-4758-a7a5-962190f00ce3", PART_SIGNATURE },
        { PARTITION_USR, "b0e01050-ee5f-4390-949a-9101b17104e9" },
        { PARTITION_USR, "6e11a4e7-fbca-4ded-b9e9-e1a512bb664e", PART_HASHES },
        { PARTITION_USR, "c23ce4ff-44bd-4b00-b2d4-b41b3419e02a", PART_SIGNATURE },
#elif defined(__riscv) && __riscv_xlen == 64
        { PARTITION_ROOT, "72ec70a6-cf74-40e6-bd49-4bda08e8f224" },
        { PARTITION_ROOT, "b6ed5582-440b-4209-b8da-5ff7c419ea3d", PART_HASHES },
        { PARTITION_ROOT, "efe0f087-ea8d-4469-821a-4c2a96a8386a", PART_SIGNATURE },
        { PARTITION_USR, "beaec34b-8442-439b-a40b-984381ed097d" },
        { PARTITION_USR, "8f1056be-9b05-47c4-81d6-be53128e5b54", PART_HASHES },
        { PARTITION_USR, "d2f9000a-7a18-453f-b5cd-4d32f77a7b32", PART_SIGNATURE },
#endif
        { PARTITION_HOME, "933ac7e1-2eb4-4f13-b844-0e14e2aef915" },
        { PARTITION_SRV, "3b8f8425-20e0-4f3b-907f-1a25a76f98e8" },
        { PARTITION_VAR, "4d21b016-b534-45c2-a9fb-5c16e091fd2d" },
        { PARTITION_TMP, "7ec6f557-3bc5-4aca-b293-16ef5df639d1" },
        { PARTITION_XBOOTLDR, "bc13c2ff-59e6-4262-a352-b275fd6f7172" },
        { PARTITION_ESP, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" },
};

#define LINUX_DATA     "0fc63daf-8483-4772-8e79-3d69d8477de4"
#define LINUX_DATA_MBR 0x83

/* Finds the type of a file system; "" if it is unknown. */
static int probe_type(int disk_fd, uint64_t offset, uint64_t size, char ret[static TYPE_MAX])
{
        _cleanup_probe_ blkid_probe probe = blkid.new_probe();
        const char *type;
        int r;

        ret[0] = 0;
        if (!probe || blkid.set_device(probe, disk_fd, (blkid_loff_t) offset, (blkid_loff_t) size) != 0)
                return -ENOMEM;
        (void) blkid.enable_superblocks(probe, 1);
        (void) blkid.set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
        r = blkid.safeprobe(probe);
        if (r == -2)
                return -EUCLEAN; /* several types match */
        if (r == 0 && blkid.lookup_value(probe, "TYPE", &type, NULL) == 0)
                snprintf(ret, TYPE_MAX, "%s", type);
        return r == -1 ? -EIO : 0;
}

static int find_file_system(int disk_fd, Partition *p, char **ret_error)
{
        bool boot = p->role == PARTITION_ESP || p->role == PARTITION_XBOOTLDR;
        _cleanup_free_ char *what = raw_describe(p);
        char type[TYPE_MAX];
        int r = probe_type(disk_fd, p->offset, p->size, type);

        OOM_CHECK(what);
        if (r == -EUCLEAN)
                return set_failure(ret_error, r, "%s looks like several file systems at once.", what);
        if (r < 0)
                return set_failure(ret_error, r, "%s cannot be read: %s", what, strerror(-r));
        if (!type[0])
                return set_failure(ret_error, -EUCLEAN, "%s has no known file system.", what);
        if (startswith(type, "crypto_"))
                return set_failure(ret_error, -EUCLEAN,
                                   "%s is encrypted; encrypted disks are not supported.", what);
        for (size_t i = 0; i < ELEMENTSOF(file_systems); i++)
                if (streq(type, file_systems[i].type) && (boot || !file_systems[i].boot)) {
                        snprintf(p->fs, sizeof(p->fs), "%s", file_systems[i].kernel);
                        p->read_only = p->read_only || file_systems[i].read_only;
                        return 0;
                }
        return set_failure(ret_error, -EUCLEAN,
                           "%s has the file system '%s', which is not supported for machines.", what, type);
}

/* Returns the index of a partition's type in types[], or a negative errno if the type is unknown. */
static int find_type(blkid_partition part)
{
        const char *type = blkid.get_type_string(part);

        for (size_t i = 0; type && i < ELEMENTSOF(types); i++)
                if (strcasecmp(type, types[i].type) == 0)
                        return (int) i;
        return -ENOENT;
}

static void read_uuid(blkid_partition part, char ret[static RAW_UUID_LENGTH + 1])
{
        size_t n = 0;

        for (const char *uuid = blkid.get_uuid(part) ?: ""; *uuid && n < RAW_UUID_LENGTH; uuid++)
                if (*uuid != '-')
                        ret[n++] = *uuid;
        ret[n] = 0;
}

static bool is_plain(blkid_partition part)
{
        const char *type = blkid.get_type_string(part);

        return type ? strcasecmp(type, LINUX_DATA) == 0 : blkid.get_type(part) == LINUX_DATA_MBR;
}

/* Returns false for a partition that is not within the disk. */
static bool take_partition(blkid_partition part, uint64_t disk_size, Partition *ret)
{
        uint64_t start = (uint64_t) blkid.get_start(part), size = (uint64_t) blkid.get_size(part);

        if (size == 0 || start >= disk_size / SECTOR || size > disk_size / SECTOR - start)
                return false;
        *ret = (Partition){
                .offset = start * SECTOR,
                .size = size * SECTOR,
                .number = (unsigned) blkid.get_partno(part),
                .read_only = blkid.get_type_string(part) && (blkid.get_flags(part) & FLAG_READ_ONLY),
        };
        read_uuid(part, ret->uuid);
        return true;
}

/* The UUID of a partition with data is the beginning of the root hash, and that of the partition with its
 * hashes is the end. Any partition matches if no root hash is required. */
static bool is_of_hash(const Partition *p, Part part, const char *hash)
{
        return !hash || part == PART_SIGNATURE ||
               strncasecmp(part == PART_DATA ? hash : hash + strlen(hash) - RAW_UUID_LENGTH, p->uuid,
                           RAW_UUID_LENGTH) == 0;
}

/* The first partition of each type counts. If no partition has the type of a root, a single partition of the
 * general Linux type is the root. */
static int read_partitions(blkid_partlist list, uint64_t disk_size, const RawWanted *wanted, Table *ret,
                           char **ret_error)
{
        const char *hash = raw_wanted_hash(wanted, PARTITION_ROOT);
        Partition plain = {}, p;
        unsigned n_plain = 0;
        int n = blkid.numof_partitions(list);

        for (int i = 0; i < n; i++) {
                blkid_partition part = blkid.get_partition(list, i);
                int type = part ? find_type(part) : -ENOENT;
                if (!part || (type < 0 && !is_plain(part)) ||
                    (type >= 0 && (blkid.get_flags(part) & FLAG_NO_AUTO)))
                        continue;
                if (!take_partition(part, disk_size, &p))
                        return set_failure(
                                ret_error, -EUCLEAN,
                                "Partition %i ends beyond the end of the disk; the file is truncated.",
                                blkid.get_partno(part));
                if (type < 0 && n_plain++ == 0)
                        plain = p;
                if (type < 0)
                        continue;
                p.role = types[type].role;
                Partition *place = &ret->partitions[p.role][types[type].part];
                if (place->size == 0 && is_of_hash(&p, types[type].part, raw_wanted_hash(wanted, p.role)))
                        *place = p;
        }
        Partition *root = &ret->partitions[PARTITION_ROOT][PART_DATA];
        if (root->size == 0 && n_plain == 1 && !hash)
                *root = plain;
        if (root->size > 0)
                return 0;
        if (hash)
                return set_failure(ret_error, -EUCLEAN, "The disk has no root partition for root hash '%s'.",
                                   hash);
        return n_plain > 1 ? set_failure(ret_error, -EUCLEAN,
                                         "The disk has %u Linux partitions, and none has the type of a root "
                                         "partition.",
                                         n_plain)
                           : set_failure(ret_error, -EUCLEAN, "The disk has no root partition.");
}

/* Reads the partition table. -ENOENT if the disk has none. */
static int read_table(int disk_fd, uint64_t disk_size, const RawWanted *wanted, Table *ret, char **ret_error)
{
        _cleanup_probe_ blkid_probe probe = blkid.new_probe();
        const char *type;

        if (!probe || blkid.set_device(probe, disk_fd, 0, 0) != 0)
                return -ENOMEM;
        (void) blkid.enable_superblocks(probe, 0);
        (void) blkid.enable_partitions(probe, 1);
        (void) blkid.set_partitions_flags(probe, BLKID_PARTS_ENTRY_DETAILS);
        if (blkid.safeprobe(probe) != 0 || blkid.lookup_value(probe, "PTTYPE", &type, NULL) != 0)
                return -ENOENT;
        /* The boot sector of a file system can look like an MBR. */
        char fs[TYPE_MAX];
        if (streq(type, "dos") && probe_type(disk_fd, 0, disk_size, fs) >= 0 && fs[0])
                return -ENOENT;
        if (streq(type, "PMBR"))
                return set_failure(ret_error, -EUCLEAN,
                                   "The GPT of the disk is damaged, or the file is truncated.");
        if (!streq(type, "gpt") && !streq(type, "dos"))
                return set_failure(ret_error, -EUCLEAN,
                                   "The partition table has the type '%s'; GPT and MBR are supported.",
                                   type);
        blkid_partlist list = blkid.get_partitions(probe);
        return list ? read_partitions(list, disk_size, wanted, ret, ret_error) : -EIO;
}

/* --- disks --------------------------------------------------------------------------------------------- */

void raw_close(RawDisk *disk)
{
        disk->hashes_fd = fd_close(disk->hashes_fd);
}

int raw_read_table(int disk_fd, int dir_fd, const char *name, const char *root_hash, RawDisk *ret,
                   char **ret_error)
{
        _cleanup_raw_wanted_ RawWanted wanted = {};
        _cleanup_raw_disk_ RawDisk disk = RAW_DISK_NONE;
        Table table = {};
        uint64_t size;
        int r;

        r = load_blkid();
        if (r < 0)
                return set_failure(ret_error, r, "Disks need libblkid.so.1, which cannot be loaded.");
        r = raw_find_wanted(disk_fd, dir_fd, name, root_hash, &wanted, ret_error);
        if (r >= 0)
                r = raw_size(disk_fd, &size);
        if (r >= 0 && size == 0)
                return set_failure(ret_error, -EUCLEAN, "The disk is empty.");
        if (r >= 0)
                r = read_table(disk_fd, size, &wanted, &table, ret_error);
        if (r == -ENOENT) {
                table.partitions[PARTITION_ROOT][PART_DATA] = (Partition){ .size = size };
                r = 0;
        }
        for (PartitionRole role = 0; role < _PARTITION_ROLE_MAX; role++)
                disk.partitions[role] = table.partitions[role][PART_DATA];
        if (r >= 0)
                r = raw_find_hashes(disk_fd, dir_fd, name, &table, &wanted, &disk, ret_error);
        if (r >= 0) {
                *ret = disk;
                disk = RAW_DISK_NONE;
        }
        return r;
}

int raw_dissect(int disk_fd, int dir_fd, const char *name, const char *root_hash, RawDisk *ret,
                char **ret_error)
{
        int r = raw_read_table(disk_fd, dir_fd, name, root_hash, ret, ret_error);

        for (PartitionRole role = 0; role < _PARTITION_ROLE_MAX && r >= 0; role++)
                if (ret->partitions[role].size > 0)
                        r = find_file_system(disk_fd, ret->partitions + role, ret_error);
        return r;
}

/* --- loop devices -------------------------------------------------------------------------------------- */

static int open_loop(unsigned number, int flags)
{
        char path[32];

        snprintf(path, sizeof(path), "/dev/loop%u", number);
        return RET_NERRNO(open(path, flags | O_CLOEXEC));
}

int raw_check_idle(int disk_fd, bool read_only, char **ret_error)
{
        _cleanup_(closedir_cleanup) DIR *dir = opendir("/sys/block");
        struct stat disk;
        unsigned number;

        if (fstat(disk_fd, &disk) < 0)
                return -errno;
        for (struct dirent *e; dir && (e = readdir(dir));) {
                struct loop_info64 info;
                if (sscanf(e->d_name, "loop%u", &number) != 1 || number >= LOOPS_MAX)
                        continue;
                _cleanup_close_ int fd = open_loop(number, O_RDONLY | O_NONBLOCK);
                if (fd < 0 || ioctl(fd, LOOP_GET_STATUS64, &info) < 0 || info.lo_inode != disk.st_ino ||
                    info.lo_device != disk.st_dev)
                        continue;
                if (!read_only || !(info.lo_flags & LO_FLAGS_READ_ONLY))
                        return set_failure(
                                ret_error, -EBUSY, "The disk is attached as /dev/loop%u%s.", number,
                                info.lo_flags & LO_FLAGS_READ_ONLY ? "" : ", which can be written to");
        }
        return 0;
}

/* Attaches a loop device, which the kernel detaches after the last close or unmount. Direct I/O is a first
 * try only: not every file system supports it for its files. */
static int attach_loop(int disk_fd, const Partition *p, bool read_only, unsigned *ret_number)
{
        struct loop_config config = {
                .fd = disk_fd,
                .block_size = SECTOR,
                .info = {
                        .lo_offset = p->offset,
                        .lo_sizelimit = p->number > 0 ? p->size : 0,
                        .lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO |
                                    (read_only ? LO_FLAGS_READ_ONLY : 0),
                },
        };

        _cleanup_close_ int control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        if (control_fd < 0)
                return -errno;
        for (unsigned i = 0; i < LOOP_ATTEMPTS; i++) {
                int number = ioctl(control_fd, LOOP_CTL_GET_FREE);
                if (number < 0)
                        return -errno;
                _cleanup_close_ int fd = open_loop((unsigned) number, read_only ? O_RDONLY : O_RDWR);
                if (fd < 0)
                        return fd;
                if (ioctl(fd, LOOP_CONFIGURE, &config) >= 0) {
                        *ret_number = (unsigned) number;
                        return TAKE_FD(fd);
                }
                if (errno == EINVAL && (config.info.lo_flags & LO_FLAGS_DIRECT_IO))
                        config.info.lo_flags &= ~(uint32_t) LO_FLAGS_DIRECT_IO;
                else if (errno != EBUSY) /* else another process was faster */
                        return -errno;
        }
        return -EBUSY;
}

/* --- mounts -------------------------------------------------------------------------------------------- */

static int mount_source(const char *type, const char *source, bool read_only, char **ret_why)
{
        _cleanup_fs_context_ FsContext fs = fs_context_open(type);

        fs_context_set(&fs, "source", source);
        if (read_only)
                fs_context_set(&fs, "ro", NULL);
        /* A copy of a disk has the same UUID, and XFS mounts a UUID only once. */
        if (streq(type, "xfs"))
                fs_context_set(&fs, "nouuid", NULL);
        if (fs_context_create(&fs) < 0) {
                free(*ret_why);
                *ret_why = fs_context_error(&fs);
                return fs.r;
        }
        return fs_context_mount(&fs, MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0));
}

/* Attaches a loop device, and returns its descriptor and its path. */
static int attach_partition(int disk_fd, const Partition *p, bool read_only, char path[static FD_PATH_MAX],
                            char **ret_error)
{
        unsigned number = 0;
        int fd = attach_loop(disk_fd, p, read_only, &number);

        snprintf(path, FD_PATH_MAX, "/dev/loop%u", number);
        return fd < 0 ? set_failure(ret_error, fd, "A loop device cannot be attached: %s", strerror(-fd))
                      : fd;
}

/* `said` is the kernel's own text, which is printed unless it equals the text of the errno. */
static int fail_mount(const Partition *p, int r, const char *hint, const char *said, char **ret_error)
{
        _cleanup_free_ char *what = raw_describe(p);
        bool more = said && !streq(said, strerror(-r));

        return set_failure(ret_error, r, "%s cannot be mounted, as %s: %s%s%s%s", what ?: "It", p->fs,
                           strerror(-r), hint, more ? "; the kernel says: " : "", more ? said : "");
}

/* Whether the kernel has device mapper now. A unit may open the devices of device mapper only if the kernel
 * had it when the unit was started. */
static bool verity_supported(void)
{
        return access("/sys/class/misc/device-mapper", F_OK) >= 0;
}

/* If `name` is NULL, reads all of a partition and compares it with its hashes. Otherwise, makes a device of
 * this name, which compares data when they are read, and keeps the loop devices open. The caller frees the
 * path. */
static int use_hashes(const VerityModule *module, int disk_fd, const Partition *p, const Verity *verity,
                      const char *name, char **ret_path, char **ret_error)
{
        _cleanup_free_ char *why = NULL, *what = raw_describe(p);
        char data[FD_PATH_MAX], hashes[FD_PATH_MAX];
        int r;

        OOM_CHECK(what);
        _cleanup_close_ int data_fd = attach_partition(disk_fd, p, true, data, ret_error);
        _cleanup_close_ int hashes_fd = data_fd < 0 ? data_fd
                                                    : attach_partition(verity->fd, &verity->hashes, true,
                                                                       hashes, ret_error);
        if (hashes_fd < 0)
                return hashes_fd;
        r = name ? module->open(data, hashes, verity->hash, name, ret_path, &why)
                 : module->check_all(data, hashes, verity->hash, &why);
        if (r == -EUCLEAN)
                return set_failure(ret_error, r, "%s is not what its root hash says.", what);
        if (r < 0 && name && !verity_supported())
                return set_failure(ret_error, r, "%s cannot be verified: the kernel has no device mapper.",
                                   what);
        return r < 0 ? set_failure(ret_error, r, "%s cannot be verified: %s", what, why ?: strerror(-r)) : 0;
}

static int mount_verified(int disk_fd, const Partition *p, const Verity *verity, char **ret_error)
{
        _cleanup_free_ char *name = strf("mctl-%016" PRIx64, random_u64()), *path = NULL, *said = NULL;
        const VerityModule *module;
        int r = raw_load_verity(&module, ret_error);

        OOM_CHECK(name);
        if (r >= 0)
                r = use_hashes(module, disk_fd, p, verity, name, &path, ret_error);
        if (r < 0)
                return r;
        r = mount_source(p->fs, path, true, &said);
        (void) module->close(name);
        return r < 0 ? fail_mount(p, r,
                                  r == -EIO || r == -EUCLEAN || r == -EINVAL || r == -EBADMSG
                                          ? " (it is not what its root hash says, or is damaged)"
                                          : "",
                                  said, ret_error)
                     : r;
}

static int mount_partition(int disk_fd, const Partition *p, const Verity *verity, bool read_only,
                           char **ret_error)
{
        _cleanup_free_ char *said = NULL;
        char source[FD_PATH_MAX];
        int r = -ENOTBLK;

        if (verity && verity->hash[0] && (verity->required || verity_supported()))
                return mount_verified(disk_fd, p, verity, ret_error);
        /* Writing to the partition would invalidate its hashes. */
        read_only = read_only || p->read_only || (verity && verity->hash[0]);
        /* Newer kernels mount a file with EROFS without a loop device. */
        if (streq(p->fs, "erofs") && p->number == 0)
                r = mount_source(p->fs, fd_path(disk_fd, source), true, &said);
        if (r >= 0)
                return r;
        _cleanup_close_ int loop_fd = attach_partition(disk_fd, p, read_only, source, ret_error);
        if (loop_fd < 0)
                return loop_fd;
        r = mount_source(p->fs, source, read_only, &said);
        return r < 0 ? fail_mount(
                               p, r,
                               r == -EROFS || r == -EUCLEAN
                                       ? " (its file system was not unmounted, or is damaged: see fsck(8))"
                                       : "",
                               said, ret_error)
                     : r;
}

int raw_check_hashes(int disk_fd, const RawDisk *disk, char **ret_error)
{
        const VerityModule *module;
        int r = raw_load_verity(&module, ret_error);

        for (PartitionRole role = 0; role < RAW_VERITY_MAX && r >= 0; role++)
                if (disk->verity[role].hash[0])
                        r = use_hashes(module, disk_fd, disk->partitions + role, disk->verity + role, NULL,
                                       NULL, ret_error);
        return r;
}

/* Opens the directory for a partition. Without a directory /efi, the ESP goes to /boot, where boot loaders
 * look for it, unless that directory is for an XBOOTLDR partition. */
static int open_target(const RawDisk *disk, int root_fd, PartitionRole role)
{
        /* /var can be a partition without hashes. A link in it must not lead into a partition with
         * hashes. */
        if (role == PARTITION_TMP) {
                _cleanup_close_ int var_fd = rootfs_open(root_fd, "/var", O_PATH | O_DIRECTORY);
                return var_fd < 0 ? var_fd
                                  : RET_NERRNO(openat(var_fd, "tmp",
                                                      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        }
        int fd = rootfs_open(root_fd, raw_role_path(role), O_PATH | O_DIRECTORY);

        if (fd == -ENOENT && role == PARTITION_ESP && disk->partitions[PARTITION_XBOOTLDR].size == 0)
                return rootfs_open(root_fd, "/boot", O_PATH | O_DIRECTORY);
        return fd;
}

int raw_attach(int disk_fd, const RawDisk *disk, bool read_only, int target_fd, char **ret_error)
{
        _cleanup_close_ int root_fd = -EBADF;

        for (PartitionRole role = 0; role < _PARTITION_ROLE_MAX; role++) {
                const Partition *p = disk->partitions + role;
                if (p->size == 0)
                        continue;
                _cleanup_close_ int own_fd = role == PARTITION_ROOT ? -EBADF
                                                                    : open_target(disk, root_fd, role);
                if (role != PARTITION_ROOT && own_fd < 0)
                        continue;
                _cleanup_close_ int mount_fd = mount_partition(
                        disk_fd, p, role < RAW_VERITY_MAX ? disk->verity + role : NULL, read_only,
                        ret_error);
                /* If the kernel lacks the file system of a firmware partition, a machine runs without the
                 * partition. */
                if (mount_fd == -ENODEV && (role == PARTITION_ESP || role == PARTITION_XBOOTLDR)) {
                        free(*ret_error);
                        *ret_error = NULL;
                        continue;
                }
                if (mount_fd < 0)
                        return mount_fd;
                if (move_mount(mount_fd, "", role == PARTITION_ROOT ? target_fd : own_fd, "",
                               MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
                        return set_failure(ret_error, -errno, "The disk cannot be mounted: %s",
                                           strerror(errno));
                if (role == PARTITION_ROOT)
                        root_fd = TAKE_FD(mount_fd);
        }
        return TAKE_FD(root_fd);
}
