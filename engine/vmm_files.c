/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vmm_files.h"

#include "base/count.h"
#include "base/fd.h"
#include "base/mem.h"
#include "engine/vmm.h"
#include "imagestore/imagestore.h"
#include "microvm/microvm.h"
#include "unionfs/unionfs.h"
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

struct served {
	struct vmm_files *files;
	struct ufs *u;
	struct ufs_conn *conn;
	struct device_fs stats; /* atomic */
};

struct vmm_files {
	const struct run_spec *spec;
	pthread_mutex_t objects_lock; /* one request at a time on VMM_OBJECTS */
	pthread_mutex_t open_lock;
	pthread_cond_t opened;
	_Atomic enum { CLOSED, OPEN, FAILED } state;
	bool arriving;
	bool ended; /* under open_lock */
	struct arrival_reader *reader;
	struct ufs_arrivals arrivals;
	size_t n;
	struct served served[]; /* the root, then the volumes */
};

int vmm_files_new(const struct run_spec *s, bool arriving, struct vmm_files **ret)
{
	const size_t n = 1 + s->nvolumes;
	struct vmm_files *f = calloc(1, sizeof(*f) + n * sizeof(f->served[0]));

	if (!f)
		return -ENOMEM;
	f->spec = s;
	f->arriving = arriving;
	f->n = n;
	for (size_t i = 0; i < n; i++)
		f->served[i].files = f;
	pthread_mutex_init(&f->objects_lock, NULL);
	pthread_mutex_init(&f->open_lock, NULL);
	pthread_cond_init(&f->opened, NULL);
	*ret = f;
	return 0;
}

void vmm_files_free(struct vmm_files *f)
{
	for (size_t i = 0; f && i < f->n; i++) {
		ufs_conn_free(f->served[i].conn);
		ufs_free(f->served[i].u);
	}
	if (f)
		arrival_reader_free(f->reader);
	free(f);
}

void vmm_files_end(void *files)
{
	struct vmm_files *f = files;

	if (!f)
		return;
	pthread_mutex_lock(&f->open_lock);
	f->ended = true;
	arrival_reader_shut(f->reader);
	pthread_cond_broadcast(&f->opened);
	pthread_mutex_unlock(&f->open_lock);
}

void *vmm_files_ctx(void *files, size_t i)
{
	struct vmm_files *f = files;

	return &f->served[i];
}

static int object_open(void *ctx, uint64_t nid, _unused_ const struct digest *digest)
{
	struct vmm_files *f = ctx;
	int32_t answer = -EIO;
	size_t nfds = 0;
	int fd = -1;

	pthread_mutex_lock(&f->objects_lock);
	if (send(VMM_OBJECTS, &nid, sizeof(nid), MSG_NOSIGNAL) == sizeof(nid) &&
	    fd_recv(VMM_OBJECTS, &answer, sizeof(answer), &fd, 1, &nfds) != sizeof(answer))
		answer = -EIO;
	pthread_mutex_unlock(&f->objects_lock);
	if (answer < 0 || nfds != 1) {
		fd_close(fd);
		return answer < 0 ? answer : -EIO;
	}
	return fd;
}

static uint64_t length(const struct iovec *v, int n)
{
	uint64_t len = 0;

	for (int i = 0; i < n; i++)
		len += v[i].iov_len;
	return len;
}

/* The guest runs while they are opened, and may be quick. */
static bool wait_opened(struct vmm_files *f)
{
	if (f->state == CLOSED) {
		pthread_mutex_lock(&f->open_lock);
		while (f->state == CLOSED && !f->ended)
			pthread_cond_wait(&f->opened, &f->open_lock);
		pthread_mutex_unlock(&f->open_lock);
	}
	return f->state == OPEN;
}

ssize_t vmm_files_serve(void *ctx, const struct iovec *in, int nin, const struct iovec *out,
			int nout)
{
	struct served *s = ctx;
	ssize_t n = wait_opened(s->files) ? ufs_serve(s->conn, in, nin, out, nout) : -EIO;

	count_add(&s->stats.requests, 1);
	count_add(&s->stats.out_bytes, length(in, nin));
	count_add(&s->stats.in_bytes, n > 0 ? (uint64_t)n : 0);
	return n;
}

void vmm_files_stats(const struct vmm_files *f, size_t i, struct device_fs *ret)
{
	const struct device_fs *s = &f->served[i].stats;

	ret->requests = count_get(&s->requests);
	ret->in_bytes = count_get(&s->in_bytes);
	ret->out_bytes = count_get(&s->out_bytes);
}

static int dax_map(void *ctx, int fd, uint64_t off, uint64_t at, uint64_t len, bool write)
{
	return vm_dax_map(ctx, fd, off, at, len, write);
}

static int dax_unmap(void *ctx, uint64_t at, uint64_t len)
{
	return vm_dax_unmap(ctx, at, len);
}

/* @vm: whose DAX window of @dax bytes it has. */
static int serve_union(struct served *s, const struct ufs_config *cfg, struct vm *vm, uint64_t dax)
{
	const struct ufs_carrier carrier = { .dax_len = dax,
					     .dax_map = dax_map,
					     .dax_unmap = dax_unmap };
	int r = ufs_new(cfg, &s->u);

	if (r < 0)
		return r;
	s->conn = ufs_conn_new(s->u, &carrier, vm);
	return s->conn ? 0 : -ENOMEM;
}

static int volume_fd(const struct vmm_files *f, size_t i)
{
	return VMM_MORE + (int)(f->spec->ndisks + i);
}

/* Who fetches has the network, and stands outside the jail. */
static int open_arrival(struct vmm_files *f, int at, struct ufs_lower *lower)
{
	struct arrival_reader *reader = NULL;
	int r;

	if (!f->arriving)
		return 0;
	r = arrival_reader_new(at + ARRIVAL_TABLE, at + ARRIVAL_STATE, at + ARRIVAL_DESK,
			       at + ARRIVAL_DOOR, &reader);
	if (r < 0)
		return r;
	pthread_mutex_lock(&f->open_lock);
	f->reader = reader;
	if (f->ended)
		arrival_reader_shut(reader);
	pthread_mutex_unlock(&f->open_lock);
	f->arrivals = (struct ufs_arrivals){ .fd = at + ARRIVAL_DATA,
					     .find = arrival_find,
					     .need = arrival_need,
					     .ctx = f->reader };
	lower->arrivals = &f->arrivals;
	return 0;
}

static int serve_root(struct vmm_files *f, bool recover, struct vm *vm)
{
	struct layer_index *index;
	struct ufs_lower lower = {
		.kind = UFS_LOWER_INDEX, .fd = VMM_INDEX, .object_open = object_open, .ctx = f
	};
	struct ufs_config cfg = { .lowers = &lower,
				  .nlowers = 1,
				  .upper_fd = VMM_UPPER,
				  .work_fd = VMM_WORK,
				  .upper = UFS_UPPER_MAPPED,
				  .metacopy = true,
				  .redirect = UFS_REDIRECT_ON,
				  .is_volatile = f->spec->rm,
				  .size = f->spec->top_size,
				  .recover = recover };
	_free_ int *packs = NULL;
	size_t nfds;
	int r = layer_index_open(VMM_INDEX, &index);

	if (r < 0)
		return r;
	lower.npacks = layer_index_ndevices(index);
	layer_index_close(index);
	nfds = lower.npacks + (f->spec->no_verify ? 0 : lower.npacks + 1);
	packs = mem_new(nfds, sizeof(*packs));
	if (!packs)
		return -ENOMEM;
	for (size_t i = 0; i < nfds; i++)
		packs[i] = volume_fd(f, f->spec->nvolumes) + (int)i;
	lower.packs = packs;
	lower.sums = f->spec->no_verify ? NULL : packs + lower.npacks;
	r = open_arrival(f, volume_fd(f, f->spec->nvolumes) + (int)nfds, &lower);
	return r < 0 ? r : serve_union(&f->served[0], &cfg, vm, vm ? f->spec->dax : 0);
}

/* The folder comes with its owner mapped to the uid that we serve as (engine/vm_volume.h). */
static int serve_volume(struct served *s, int fd, bool rdonly)
{
	struct ufs_config cfg = {
		.upper = UFS_UPPER_PLAIN, .upper_fd = fd, .work_fd = -1, .rdonly = rdonly
	};

	return serve_union(s, &cfg, NULL, 0);
}

size_t vmm_files_folders(const struct run_spec *s, struct vm_folder *ret)
{
	size_t n = 0;

	ret[n++] = (struct vm_folder){ VMM_UPPER, false };
	ret[n++] = (struct vm_folder){ VMM_WORK, false };
	for (size_t i = 0; i < s->nvolumes; i++)
		ret[n++] =
			(struct vm_folder){ VMM_MORE + (int)(s->ndisks + i), s->volumes[i].rdonly };
	return n;
}

int vmm_files_open(struct vmm_files *f, const uint64_t *agreed, struct vm *vm)
{
	int r = serve_root(f, agreed != NULL, vm);

	if (r >= 0 && agreed)
		ufs_conn_resume(f->served[0].conn, *agreed);
	for (size_t i = 0; r >= 0 && i < f->spec->nvolumes; i++)
		r = serve_volume(&f->served[1 + i], volume_fd(f, i), f->spec->volumes[i].rdonly);
	pthread_mutex_lock(&f->open_lock);
	f->state = r < 0 ? FAILED : OPEN;
	pthread_cond_broadcast(&f->opened);
	pthread_mutex_unlock(&f->open_lock);
	return r;
}

void vmm_files_started(struct vmm_files *f)
{
	pthread_mutex_lock(&f->open_lock);
	if (f->spec->read_only && f->state == OPEN)
		ufs_set_rdonly(f->served[0].u);
	pthread_mutex_unlock(&f->open_lock);
}

void vmm_files_leave(struct vmm_files *f)
{
	ufs_leave(f->served[0].u);
}

uint64_t vmm_files_agreed(const struct vmm_files *f)
{
	return ufs_conn_agreed(f->served[0].conn);
}
