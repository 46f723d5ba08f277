/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/guest_fields.h"

#include "base/err.h"
#include "base/str.h"

void guest_field(struct buf *b, uint32_t tag, const void *data, size_t len)
{
	const struct guest_field f = { tag, (uint32_t)len };

	buf_add(b, &f, sizeof(f));
	buf_add(b, data, len);
}

void guest_field_str(struct buf *b, uint32_t tag, const char *s)
{
	if (s)
		guest_field(b, tag, s, strlen(s));
}

void guest_field_u32(struct buf *b, uint32_t tag, uint32_t v)
{
	guest_field(b, tag, &v, sizeof(v));
}

void guest_fields_strv(struct buf *b, uint32_t tag, char *const *v)
{
	for (; v && *v; v++)
		guest_field_str(b, tag, *v);
}

int guest_args_check(char *const *argv, char *const *env)
{
	if (strv_len(argv) > GUEST_ARGS_MAX || strv_len(env) > GUEST_ARGS_MAX - 1)
		return err(-E2BIG, "more than %u arguments or variables", GUEST_ARGS_MAX - 1);
	return 0;
}
