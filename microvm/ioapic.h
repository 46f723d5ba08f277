/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the IOAPIC, which is ours (82093AA data sheet); the local APICs are KVM's. */
#ifndef MICROVM_IOAPIC_H
#define MICROVM_IOAPIC_H

#include "microvm/layout.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct ioapic {
	pthread_mutex_t lock;
	int vm_fd;
	unsigned npins;
	uint32_t select, id;
	uint64_t entries[VM_GSI_ACPI + VM_DEVICES_MAX];
	bool pending[VM_GSI_ACPI + VM_DEVICES_MAX]; /* came while masked */
};

void ioapic_init(struct ioapic *a, int vm_fd, unsigned npins);
void ioapic_done(struct ioapic *a);
void ioapic_access(struct ioapic *a, uint64_t off, void *data, unsigned len, bool write);
/* An edge at @pin, from any thread. False: the pin is masked, it is kept until it no longer is. */
bool ioapic_raise(struct ioapic *a, unsigned pin);

#endif
