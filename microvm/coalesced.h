/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: writes that wait, in a ring of KVM's. */
#ifndef MICROVM_COALESCED_H
#define MICROVM_COALESCED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm;

struct coalesced {
	pthread_mutex_t turn; /* of the one who drains; before a device's */
	pthread_mutex_t lock; /* of the ring; before the IOAPIC's, behind all others */
	int vm_fd;
	bool ioapic; /* its registers are among them; atomic */
};

void coalesced_init(struct coalesced *c, int vm_fd);
void coalesced_done(struct coalesced *c);
/* 0, or -errno: this KVM does not take them, and they exit as before. */
int coalesced_add(const struct coalesced *c, uint64_t gpa, uint32_t len);
void coalesced_add_ioapic(struct coalesced *c);
int coalesced_add_ports(const struct coalesced *c, uint16_t first, uint16_t n);
/* Does what was written: by a vCPU, before it handles an exit. */
void coalesced_drain(struct vm *v);
/* Does what was written to the IOAPIC, and nothing else: by any thread, before an interrupt. */
void coalesced_ioapic(struct vm *v);
/*
 * From here on writes to it exit, and those before are done. For whoever has found an interrupt
 * masked: that it no longer is would be seen at the next exit, which may never come.
 */
void coalesced_end_ioapic(struct vm *v);

#endif
