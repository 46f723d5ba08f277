/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a message to the guest (docs/formats/guest.md); b->failed tells of missing memory. */
#ifndef MICROVM_GUEST_FIELDS_H
#define MICROVM_GUEST_FIELDS_H

#include "base/buf.h"
#include "microvm/guest/protocol.h"
#include <stddef.h>
#include <stdint.h>

void guest_field(struct buf *b, uint32_t tag, const void *data, size_t len);
void guest_field_str(struct buf *b, uint32_t tag, const char *s); /* none for NULL */
void guest_field_u32(struct buf *b, uint32_t tag, uint32_t v);
void guest_fields_strv(struct buf *b, uint32_t tag, char *const *v); /* one for each */
/* 0, or -E2BIG with a text: more arguments or variables than a guest takes. */
int guest_args_check(char *const *argv, char *const *env);

#endif
