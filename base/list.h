/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A doubly linked list inside the structs that it links. A head is a link to itself when the list
 * is empty.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/mem.h"
#include <stdbool.h>

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_between_(struct list *l, struct list *prev, struct list *next)
{
	l->prev = prev;
	l->next = next;
	prev->next = l;
	next->prev = l;
}

/* At the front or at the back of the list @head. */
static inline void list_push(struct list *head, struct list *l)
{
	list_insert_between_(l, head, head->next);
}

static inline void list_append(struct list *head, struct list *l)
{
	list_insert_between_(l, head->prev, head);
}

/*
 * Takes @l out of its list; it is then a list of itself, so that taking it out twice is harmless.
 */
static inline void list_remove(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

#define list_entry(l, type, member) container_of(l, type, member)
/* NOLINTBEGIN(bugprone-macro-parentheses): @l is a name, which is declared here. */
#define list_for_each(l, head) for (struct list *l = (head)->next; l != (head); l = l->next)
/* As list_for_each, where the body may remove @l. */
#define list_for_each_safe(l, head)                                            \
	for (struct list *l = (head)->next, *l##_next_ = l->next; l != (head); \
	     l = l##_next_, l##_next_ = l->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
