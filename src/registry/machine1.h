/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "image/image.h"
#include "registry/registry.h"
#include "registry/varlink.h"

/* org.freedesktop.machine1: the registry that all of systemd's clients know (org.freedesktop.machine1(5)).
 *
 * There is one of it on a host. Where systemd-machined is installed it is its, and our machines are registered there
 * (client); where it is not, or is masked, we are it (provider): the bus name, the objects and the files below
 * /run/systemd/machines are ours. Provider= in registry.conf decides otherwise.
 *
 * A machine is known here from the time that it has a leader until it has ended. Machines that others register
 * (systemd-nspawn, libvirt) are machines of ours too, but for their unit: see foreign.c. */

#define MACHINE1_NAME      "org.freedesktop.machine1"
#define MACHINE1_PATH      "/org/freedesktop/machine1"
#define MACHINE1_MANAGER   "org.freedesktop.machine1.Manager"
#define MACHINE1_MACHINE   "org.freedesktop.machine1.Machine"
#define MACHINE1_MACHINES  "/org/freedesktop/machine1/machine"
#define MACHINE1_IMAGE     "org.freedesktop.machine1.Image"
#define MACHINE1_IMAGES    "/org/freedesktop/machine1/image"
#define MACHINE1_STATE_DIR "/run/systemd/machines"
#define MACHINE1_MACHINED  "systemd-machined.service"

/* Ids below are of the host, and nobody's in a machine that has a range of its own. */
#define MACHINE1_HOST_IDS 0x10000U

/* Finds out which role is ours, and takes it: objects, name, files, machines that were registered before. */
int machine1_setup(Registry *registry);

/* Gives the name back, and takes it again; nothing else changes. */
void machine1_release(Registry *registry);
void machine1_hold(Registry *registry);

/* Whether nobody would start us when we are asked for by that name: D-Bus believes it to be systemd-machined's. */
bool machine1_must_stay(const Registry *registry);

/* A machine got a leader, or lost it. */
void machine1_publish(Registry *registry, Machine *machine, bool there);

/* The object path of a machine; the caller frees it. */
char *machine1_machine_path(const char *name);

/* Appends an ID as ay, of no bytes where the text is none, and keys and values by turns as a{ss}. */
int machine1_append_id(sd_bus_message *m, const char *uuid);
int machine1_append_pairs(sd_bus_message *m, const Strv pairs);

/* machine1-client.c: what systemd-machined has to know, and what newer ones (258) make of it: whoever registers a machine is its supervisor,
 * who is sent SIGTERM where the machine is to end, or has ended. */
int machined_register(Registry *registry, const Machine *machine);

/* Whether a signal came from there. Machines that it has ended are ended then. */
bool machined_has_signalled(Registry *registry, pid_t sender);

/* machine1-methods.c */
extern const sd_bus_vtable machine1_manager_vtable[];
extern const sd_bus_vtable machine1_machine_vtable[];
int machine1_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                         sd_bus_error *error);
int machine1_node_enumerate(sd_bus *bus, const char *path, void *userdata, char ***ret, sd_bus_error *error);
/* The machine that a process belongs to, or NULL. */
Machine *machine1_find_process(Registry *registry, pid_t pid);
Machine *machine1_find(Registry *registry, const char *name);
/* The machine that has this user or group of the host, and which one that is inside, or NULL. Ids that are the host's own as
 * well are no machine's. */
Machine *machine1_find_user(Registry *registry, bool group, uint32_t outer, uint32_t *ret_inner);

/* machine1-varlink.c: opens the sockets of newer clients, and of nss-systemd. */
int machine1_varlink_setup(Registry *registry);

/* image1.c: opens an image of the store with O_PATH; ".host" is the host itself. Both may be NULL; the caller frees the path. */
int image1_open(const char *name, ImageType *ret_type, char **ret_path);

/* The same for the image that a call is about, by its object or its first argument, which the caller frees; and the answer where there is
 * none. */
int image1_open_of_call(sd_bus_message *call, char **ret_name, ImageType *ret_type);
int image1_reply_no_image(sd_bus_message *call, const char *name);

/* image1-change.c: a machine that runs from that image of the store, or NULL. */
const Machine *machine1_image_user(const Registry *registry, const char *name);

/* The same, one after the other: `from` is 0 at first. */
const Machine *machine1_image_next_user(const Registry *registry, const char *name, size_t *from);

/* Whether an image of the store is a disk. */
bool machine1_image_is_disk(const char *name);

/* ListSnapshots(s name) of org.mctl.Registry1 → (a(st)): names, and when, in µs since 1970 */
int registry_list_snapshots(sd_bus_message *call, void *userdata, sd_bus_error *error);

/* image1-change.c: MountImage(s name, s path, b read_only) and UnmountImage(s where) of org.mctl.Registry1 */
int registry_mount_image(sd_bus_message *call, void *userdata, sd_bus_error *error);

/* image1-change.c: VerifyImage(s name) of org.mctl.Registry1 */
int registry_verify_image(sd_bus_message *call, void *userdata, sd_bus_error *error);

/* image1-change.c: MeasureImages(as names) of org.mctl.Registry1 */
int registry_measure_images(sd_bus_message *call, void *userdata, sd_bus_error *error);

/* ListImages() of org.mctl.Registry1, → (aa{sv}) */
int registry_list_images(sd_bus_message *call, void *userdata, sd_bus_error *error);

/* io.systemd.MachineImage.List(name?, acquireMetadata?) */
int machine1_varlink_list_images(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata);

/* image1.c: images, as methods of the manager and as objects; what changes them is a worker's. */
extern const sd_bus_vtable machine1_image_vtable[];
int machine1_images_setup(Registry *registry);
int machine1_list_images(sd_bus_message *call, void *userdata, sd_bus_error *error);
int machine1_get_image(sd_bus_message *call, void *userdata, sd_bus_error *error);
/* GetImageHostname(), GetImageMachineID(), GetImageMachineInfo() and GetImageOSRelease() */
int machine1_ask_image(sd_bus_message *call, void *userdata, sd_bus_error *error);

/* image1-change.c: Clone, Rename, Remove, MarkReadOnly and SetLimit, of the manager or of an image */
int machine1_change_image(sd_bus_message *call, void *userdata, sd_bus_error *error);
int machine1_clean_pool(sd_bus_message *call, void *userdata, sd_bus_error *error);
int machine1_limit_pool(sd_bus_message *call, void *userdata, sd_bus_error *error);
int machine1_get_pool(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error);

/* session.c: OpenLogin() and OpenShell(s user, s path, as args, as environment) → (h terminal, s path) */
int machine1_open_login(Registry *registry, Machine *machine, sd_bus_message *call);
int machine1_open_shell(Registry *registry, Machine *machine, sd_bus_message *call);

/* state-file.c: /run/systemd/machines/NAME, which readers watch and read without asking anybody. */
int state_file_write(const Machine *machine);
void state_file_remove(const Machine *machine);
/* Adds the machines that others registered before the registry was started anew. */
int state_files_load(Registry *registry);

/* foreign.c: RegisterMachine*() and CreateMachine*() of others, and what systemd-machined tells us as its client. */

/* Judges what somebody wants to register, with his user in `owner`, and fills in what is the same for all: -EINVAL and what
 * is wrong, -ESRCH for a leader that is gone, -EEXIST for a name that is taken, -EDQUOT where there are too many. */
int foreign_judge(Registry *registry, Machine *machine, const char **ret_mistake);
int foreign_set_id(Machine *machine, const uint8_t *id, size_t size);
int foreign_add_interface(Machine *machine, int64_t index);

/* Finds the unit that the leader is in. It is the machine's own when it is where machines are, and no other machine's; a
 * user's own units are elsewhere. */
int foreign_find_unit(Registry *registry, Machine *machine);
int foreign_register(Registry *registry, sd_bus_message *call);
int foreign_unregister(Registry *registry, Machine *machine, sd_bus_message *call);
/* Watches the leader of a machine that has no unit of ours, and adds it. Takes it over where it returns no error. */
int foreign_add(Registry *registry, Machine *machine);
/* Whether a machine was registered by the user who calls, and its leader is a process of his still. */
bool foreign_is_callers(const Machine *machine, sd_bus_message *call);
/* Sends a signal to the leader. */
int foreign_signal(Machine *machine, int sig);
/* Follows the machines of systemd-machined. */
int foreign_follow(Registry *registry);
