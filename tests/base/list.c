/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include "tests/base/unit.h"

struct item {
	int n;
	struct list link;
};

static int digits(const struct list *head)
{
	int n = 0;

	list_for_each(l, head)
		n = n * 10 + list_entry(l, struct item, link)->n;
	return n;
}

static void order(_unused_ void **state)
{
	struct item items[3] = { { .n = 1 }, { .n = 2 }, { .n = 3 } };
	struct list head;

	list_init(&head);
	assert_true(list_empty(&head));
	list_append(&head, &items[1].link);
	list_append(&head, &items[2].link);
	list_push(&head, &items[0].link);
	assert_int_equal(digits(&head), 123);
	list_remove(&items[1].link);
	list_remove(&items[1].link);
	assert_int_equal(digits(&head), 13);
	list_append(&head, &items[1].link);
	assert_int_equal(digits(&head), 132);
}

static void removal_while_walking(_unused_ void **state)
{
	struct item items[9];
	struct list head;

	list_init(&head);
	for (int i = 0; i < 9; i++) {
		items[i].n = i + 1;
		list_append(&head, &items[i].link);
	}
	list_for_each_safe(l, &head) {
		if (list_entry(l, struct item, link)->n % 2 == 0)
			list_remove(l);
	}
	assert_int_equal(digits(&head), 13579);
	list_for_each_safe(l, &head)
		list_remove(l);
	assert_true(list_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order),
		cmocka_unit_test(removal_while_walking),
	};

	return run_units(tests);
}
