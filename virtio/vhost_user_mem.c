/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vhost_user_mem.h"
#include "base/err.h"
#include "base/fd.h"
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE 4096u

void vhost_user_mem_unmap(struct vhost_user_mem *m)
{
	for (unsigned i = 0; i < m->mem.n; i++)
		munmap(m->mem.regions[i].hva, m->mem.regions[i].len);
	*m = (struct vhost_user_mem){ 0 };
}

/*
 * A file that could shrink under its map would be a SIGBUS to us: it must be sealed against that.
 */
static int region_check(const struct vhost_user_region *r, int fd)
{
	struct stat st;
	int seals;

	if (!r->len || r->len % PAGE || r->gpa % PAGE || r->offset % PAGE ||
	    r->gpa + r->len < r->gpa || r->user + r->len < r->user || r->len > SIZE_MAX / 2)
		return err(-EPROTO, "vhost-user: malformed memory region");
	if (fstat(fd, &st) < 0)
		return err_sys("vhost-user: memory region");
	if (r->offset > (uint64_t)st.st_size || r->len > (uint64_t)st.st_size - r->offset)
		return err(-EPROTO, "vhost-user: a memory region is larger than its file");
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return err(-EINVAL, "vhost-user: memory is not sealed against shrinking "
				    "(memory-backend-memfd,share=on does)");
	return 0;
}

static bool overlaps(const struct mem *m, const struct vhost_user_region *r)
{
	for (unsigned i = 0; i < m->n; i++)
		if (r->gpa < m->regions[i].gpa + m->regions[i].len &&
		    m->regions[i].gpa < r->gpa + r->len)
			return true;
	return false;
}

static int region_map(struct vhost_user_mem *m, const struct vhost_user_region *r, int fd)
{
	void *p;
	int e = region_check(r, fd);

	if (e < 0)
		return e;
	if (overlaps(&m->mem, r))
		return err(-EPROTO, "vhost-user: memory regions overlap");
	p = mmap(NULL, r->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)r->offset);
	if (p == MAP_FAILED)
		return err_sys("vhost-user: memory region");
	m->user[m->mem.n] = r->user;
	m->mem.regions[m->mem.n++] = (struct mem_region){ r->gpa, r->len, p };
	return 0;
}

int vhost_user_mem_map(struct vhost_user_mem *m, const struct vhost_user_region *regions,
		       const int *fds, unsigned n)
{
	vhost_user_mem_unmap(m);
	for (unsigned i = 0; i < n; i++) {
		int r = region_map(m, &regions[i], fds[i]);

		if (r < 0) {
			vhost_user_mem_unmap(m);
			return r;
		}
	}
	return 0;
}

uint64_t vhost_user_mem_gpa(const struct vhost_user_mem *m, uint64_t user)
{
	for (unsigned i = 0; i < m->mem.n; i++)
		if (user >= m->user[i] && user - m->user[i] < m->mem.regions[i].len)
			return m->mem.regions[i].gpa + (user - m->user[i]);
	return UINT64_MAX;
}
