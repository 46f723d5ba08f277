/* SPDX-License-Identifier: Apache-2.0 */
/* The side of who serves: where a content lies, and that it is there before it is read. */
#include "imagestore/arrival/desk.h"
#include "imagestore/arrival/table.h"
#include "imagestore/arriving.h"

#include "base/err.h"
#include "base/mem.h"

struct arrival_reader {
	struct table table;
	struct state state;
	struct desk *desk;
	int door;
};

int arrival_reader_new(int table_fd, int state_fd, int desk_fd, int door_fd,
		       struct arrival_reader **ret)
{
	struct arrival_reader *r = new0(struct arrival_reader);
	int e;

	if (!r)
		return -ENOMEM;
	r->door = door_fd;
	e = table_read(table_fd, &r->table);
	if (e >= 0)
		e = state_map(state_fd, &r->table, false, &r->state);
	if (e >= 0)
		e = desk_map(desk_fd, &r->desk);
	if (e < 0) {
		arrival_reader_free(r);
		return e;
	}
	desk_clear(r->desk);
	*ret = r;
	return 0;
}

void arrival_reader_free(struct arrival_reader *r)
{
	if (!r)
		return;
	desk_unmap(r->desk);
	state_done(&r->state);
	table_done(&r->table);
	free(r);
}

void arrival_reader_shut(struct arrival_reader *r)
{
	if (r)
		desk_shut(r->desk);
}

bool arrival_find(void *reader, uint64_t nid, uint64_t *ret_at)
{
	struct arrival_reader *r = reader;
	const struct table_content *c = table_find(&r->table, nid);

	if (c)
		*ret_at = c->at;
	return c != NULL;
}

int arrival_need(void *reader, uint64_t nid, uint64_t off, uint64_t len)
{
	struct arrival_reader *r = reader;
	const struct table_content *c = table_find(&r->table, nid);
	uint32_t first, end;

	if (!c)
		return -EIO;
	table_chunks(&r->table, c, off, len, &first, &end);
	if (!atomic_load(&r->state.head->refused) && state_has(&r->state, first, end))
		return 0;
	if (!desk_ask(r->desk, r->door, nid, off, len))
		return -EIO;
	return state_has(&r->state, first, end) ? 0 : -EIO;
}
