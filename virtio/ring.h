/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a split ring looks like in guest memory (virtio 1.2, section 2.7), little-endian as we are.
 */
#ifndef VIRTIO_RING_H
#define VIRTIO_RING_H

#include <stdint.h>

#define DESC_F_NEXT	1u
#define DESC_F_WRITE	2u /* for the device to write */
#define DESC_F_INDIRECT 4u

struct ring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct ring_used_elem {
	uint32_t id, len;
};

/* avail: flags, idx, ring[num], used_event; used: flags, idx, ring[num], avail_event. */
#define RING_AVAIL_F_NO_INTERRUPT 1u
#define RING_IDX		  2u /* offset of idx in both */
#define RING_ENTRIES		  4u /* offset of the entries in both */

#define RING_DESC_SIZE(num)  ((uint64_t)(num) * sizeof(struct ring_desc))
#define RING_AVAIL_SIZE(num) (RING_ENTRIES + (uint64_t)(num)*2 + 2)
#define RING_USED_SIZE(num)  (RING_ENTRIES + (uint64_t)(num) * sizeof(struct ring_used_elem) + 2)

#define RING_DESC_ALIGN	 16u
#define RING_AVAIL_ALIGN 2u
#define RING_USED_ALIGN	 4u

/* Feature bits of every device (section 6). */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1     (UINT64_C(1) << 32)

#endif
