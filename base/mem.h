/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: owning locals, zeroed allocation, sizes that cannot overflow. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define ROUND_UP(n, to) ((((n) + (to) - 1) / (to)) * (to))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))

/* Runs @fn(&local) when the local leaves its scope. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _unused_ __attribute__((unused))

static inline void free_ptr_(void *p)
{
	free(*(void **)p);
}

/* An owning pointer: freed at the end of the scope. */
#define _free_ _cleanup_(free_ptr_)

/* Hands over what an owning pointer holds, and leaves NULL. */
#define take_ptr(p) ({ __typeof__(p) taken_ = (p); (p) = NULL; taken_; })

/* Zeroed memory for @n elements of @size bytes, or NULL; @n * @size cannot overflow. */
static inline void *mem_new(size_t n, size_t size)
{
	return calloc(n ? n : 1, size ? size : 1);
}

/* A zeroed struct, or NULL. */
#define new0(type) ((type *)mem_new(1, sizeof(type)))

/* Only what comes before @member is zeroed: for what is filled before it is read. */
#define new_head0(type, member)                                  \
	({                                                       \
		type *new_ = malloc(sizeof(type));               \
		if (new_)                                        \
			memset(new_, 0, offsetof(type, member)); \
		new_;                                            \
	})

/*
 * Makes room for @need elements of @size bytes in the array *@p of *@cap elements; 0 or -ENOMEM.
 * Grows by doubling; what is new is zeroed.
 */
int mem_grow(void *p, size_t *cap, size_t need, size_t size);

/* A copy of @len bytes, or NULL. */
void *mem_dup(const void *src, size_t len);

#endif
