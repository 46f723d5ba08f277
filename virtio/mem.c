/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/virtio.h"

void *mem_at(const struct mem *m, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < m->n; i++) {
		const struct mem_region *r = &m->regions[i];
		uint64_t off = gpa - r->gpa;

		if (gpa >= r->gpa && off <= r->len && len <= r->len - off)
			return r->hva + off;
	}
	return NULL;
}
