/* SPDX-License-Identifier: Apache-2.0 */
/* A volume for a VMM: a folder of the host as a mount of its own, detached. */
#ifndef ENGINE_VM_VOLUME_H
#define ENGINE_VM_VOLUME_H

#include "engine/spec.h"

/*
 * The folder @path as a mount where nothing is executed, no device opened and no symbolic link
 * followed, so that whatever a broken VMM puts there stays data. Its descriptor or -errno.
 */
int vm_open_confined(const char *path, bool rdonly);

/*
 * The volume's folder, confined and mapped: through it @uid, user and group, is whoever owns the
 * folder, and all other ids are nobody's. The file server of the VM runs as @uid.
 */
int vm_open_volume(const struct run_volume *volume, uid_t uid);

#endif
