/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what CPUID says to the guest. */
#ifndef MICROVM_CPUID_H
#define MICROVM_CPUID_H

#include "microvm/vm.h"

struct kvm_cpuid2 *vm_cpuid_get(int kvm_fd);
bool vm_cpuid_has_rdrand(const struct kvm_cpuid2 *all);
/* Also Hygon, whose CPUs are AMD's. */
bool vm_cpuid_is_amd(const struct kvm_cpuid2 *all);
/* What CPUID says on @c, out of what KVM supports; the caller frees. NULL: no memory. */
struct kvm_cpuid2 *vm_cpuid_of(const struct vcpu *c, const struct kvm_cpuid2 *all);
int vm_cpuid_set(const struct vcpu *c, const struct kvm_cpuid2 *all);

#endif
