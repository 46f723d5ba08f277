/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/listing.h"
#include "base/json.h"
#include <errno.h>

int listing_init(struct listing *l, const char *format, const char *const *headers)
{
	bool as_json;
	int r = cli_format(format, &as_json);

	*l = (struct listing){ 0 };
	if (r < 0)
		return r;
	if (as_json)
		l->json = json_array();
	else
		l->table = table_new(headers);
	if (l->json || l->table)
		return 0;
	cli_fail(-ENOMEM);
	return -ENOMEM;
}

void listing_done(struct listing *l)
{
	table_free(l->table);
	json_decref(l->json);
}

void listing_print(const struct listing *l)
{
	if (l->json)
		cli_print_json(l->json);
	else
		table_print(l->table, true);
}
