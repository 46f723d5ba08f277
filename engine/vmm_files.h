/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file servers of a VMM: the root as a union of VMM_INDEX and VMM_UPPER, and each volume's
 * folder (vmm.h has the descriptors). Objects of the image are asked of the monitor.
 */
#ifndef ENGINE_VMM_FILES_H
#define ENGINE_VMM_FILES_H

#include "engine/spec.h"
#include <sys/uio.h>

struct vmm_files;

/*
 * Places for all of them: the devices are made before anything is served. @s outlives it.
 * @arriving: the root's contents are, and are asked for by the last descriptors.
 */
int vmm_files_new(const struct run_spec *s, bool arriving, struct vmm_files **ret);
/* The folders that are served, for vm_jail(): how many of VMM_FILES_FOLDERS(@s). */
struct vm_folder;
#define VMM_FILES_FOLDERS(s) (2 + (s)->nvolumes)
size_t vmm_files_folders(const struct run_spec *s, struct vm_folder *ret);
/*
 * Inside the jail, as the uid that owns the top: what the union makes there is its own; once, while
 * other threads may serve already: they wait. @agreed: the top's server before this one had clients
 * that go on with us, and agreed on that with the root's; NULL: there was none. @vm: has the root's
 * DAX window, when the spec has one. 0 or -errno with a text.
 */
struct vm;
int vmm_files_open(struct vmm_files *f, const uint64_t *agreed, struct vm *vm);
/*
 * The command runs: what its root needs has been made, and one that is read-only is so from now on.
 * From any thread.
 */
void vmm_files_started(struct vmm_files *f);
/*
 * The guest waits for nothing any more: what is being served for it fails rather than wait for who
 * fetches. From any thread.
 */
void vmm_files_end(void *files);
/* Syncs and closes; nothing calls vmm_files_serve() any more. */
void vmm_files_free(struct vmm_files *f);

/* A vm_fs_serve_fn, whose ctx vmm_files_ctx() gives: 0 = the root, then the volumes. */
ssize_t vmm_files_serve(void *ctx, const struct iovec *in, int nin, const struct iovec *out,
			int nout);
void *vmm_files_ctx(void *files, size_t i);
/* What the guest asked of that one until now. From any thread. */
void vmm_files_stats(const struct vmm_files *f, size_t i, struct device_fs *ret);

/* The guest goes on later: it is to find what it knows. */
void vmm_files_leave(struct vmm_files *f);
/* What root server and guest have agreed on, and another one is to go on with. */
uint64_t vmm_files_agreed(const struct vmm_files *f);

#endif
