/* SPDX-License-Identifier: Apache-2.0 */
/* strata-image fetch: answers the desk of one mount, and brings the rest meanwhile. */
#include "imagestore/arrival/fetcher.h"

#include "base/clock.h"
#include "base/log.h"
#include "imagestore/arriving.h"
#include <poll.h>
#include <sys/socket.h>

#define ANSWERERS     4
#define RETRY_S	      30  /* between two tries at the rest, while somebody reads */
#define LOOK_AGAIN_MS 500 /* a ring may get lost with who heard it */
#define DROP_TRIES    20
#define DROP_US	      100000

/* ---- answering ---- */

/* With what was asked for comes what stands behind it in the file: the next read asks for it. */
static void stretch(const struct table *t, const struct table_content *c, uint32_t first,
		    uint32_t *end)
{
	uint64_t from = t->chunks[first].offset;

	while (*end < c->first + c->n &&
	       t->chunks[*end].offset + t->chunks[*end].packed - from <= AHEAD)
		++*end;
}

static int fetch_range(struct chunk_source *c, uint32_t first, uint32_t end)
{
	_free_ uint32_t *list = mem_new(end - first, sizeof(*list));

	for (uint32_t i = first; list && i < end; i++)
		list[i - first] = i;
	return list ? chunks_fetch(c, list, end - first) : -ENOMEM;
}

static bool tell_refused(struct fetcher *f)
{
	log_err("image sha256:%.12s: its tables of contents say other things than its layers: "
		"answered with an I/O error",
		digest_hex(&f->manifest).s);
	return false;
}

static bool answer(struct chunk_source *c, const struct desk_question *q)
{
	struct fetcher *f = c->f;
	const struct table_content *of = table_find(&f->table, q->nid);
	uint32_t first, end;
	int r;

	if (!of)
		return false;
	if (atomic_load(&f->state.head->refused))
		return tell_refused(f);
	table_chunks(&f->table, of, q->off, q->len, &first, &end);
	if (first == end)
		return true;
	/* What came along is noted too: a read that finds it asks for nothing. */
	stretch(&f->table, of, first, &end);
	pthread_mutex_lock(&f->lock);
	touched_note(f, first, end);
	pthread_mutex_unlock(&f->lock);
	atomic_store(&f->state.head->demand, clock_ns());
	r = fetch_range(c, first, end);
	atomic_store(&f->state.head->demand, clock_ns());
	if (r < 0)
		log_err("image sha256:%.12s: %s: answered with an I/O error",
			digest_hex(&f->manifest).s, err_take(r));
	return r >= 0;
}

static void *answerer(void *ctx)
{
	struct fetcher *f = ctx;
	struct chunk_source c = { .f = f };

	pthread_mutex_lock(&f->lock);
	while (!f->ended) {
		struct desk_question q;
		bool done;

		if (!desk_next(f->desk, f->taken, &q)) {
			pthread_cond_wait(&f->rung, &f->lock);
			continue;
		}
		f->taken |= UINT64_C(1) << q.slot;
		pthread_mutex_unlock(&f->lock);
		done = answer(&c, &q);
		desk_answer(f->desk, &q, done);
		pthread_mutex_lock(&f->lock);
		f->taken &= ~(UINT64_C(1) << q.slot);
	}
	pthread_mutex_unlock(&f->lock);
	chunk_source_done(&c);
	return NULL;
}

/* Until the door's other end is closed. */
static void watch_door(struct fetcher *f)
{
	struct pollfd p = { .fd = f->door, .events = POLLIN };
	char rings[64];
	ssize_t n = 1;

	while (n != 0) {
		poll(&p, 1, LOOK_AGAIN_MS);
		n = recv(f->door, rings, sizeof(rings), MSG_DONTWAIT);
		pthread_mutex_lock(&f->lock);
		f->ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
		pthread_cond_broadcast(&f->rung);
		pthread_mutex_unlock(&f->lock);
		if (f->ended)
			break;
	}
}

/* ---- the rest ---- */

static bool has_ended(struct fetcher *f)
{
	bool ended;

	pthread_mutex_lock(&f->lock);
	ended = f->ended;
	pthread_mutex_unlock(&f->lock);
	return ended;
}

/* Tries as long as somebody reads; when it is done, or nobody does, that is the end of it. */
static void *bring_rest(void *ctx)
{
	struct fetcher *f = ctx;
	int r;

	while ((r = behind_run(f, true)) < 0) {
		log_err("image sha256:%.12s: the rest: %s", digest_hex(&f->manifest).s,
			err_take(r));
		for (int i = 0; i < RETRY_S && !has_ended(f); i++)
			sleep(1);
		if (has_ended(f) || !fetcher_goes_on(f))
			break;
	}
	return NULL;
}

/* Who served holds its files a moment longer than the door. What is missed here is gc's. */
static void drop_unused(struct fetcher *f)
{
	for (int i = 0; i < DROP_TRIES && arrival_is_whole(f->dirfd); i++) {
		if (arrival_drop(f->s, &f->manifest) != -EBUSY)
			break;
		usleep(DROP_US);
	}
	err_clear();
}

static int serve(struct fetcher *f)
{
	pthread_t threads[ANSWERERS], rest;
	size_t n = 0;
	bool behind;

	while (n < ANSWERERS && pthread_create(&threads[n], NULL, answerer, f) == 0)
		n++;
	if (!n)
		return err(-EAGAIN, "no thread could be started");
	behind = !arrival_is_whole(f->dirfd) && pthread_create(&rest, NULL, bring_rest, f) == 0;
	watch_door(f);
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	touched_keep(f);
	if (behind)
		pthread_join(rest, NULL);
	drop_unused(f);
	return 0;
}

/* ---- begin and end ---- */

static int split_source(struct fetcher *f)
{
	_free_ char *name = str_fmt("%s@sha256:%s", f->note.source, digest_hex(&f->manifest).s);
	struct registry_config c = { 0 };
	struct registry_name n;
	int r = name ? registry_name_parse(name, &n) : -ENOMEM;

	if (r < 0)
		return r;
	f->host = take_ptr(n.host);
	f->repo = take_ptr(n.repo);
	registry_name_done(&n);
	r = registry_config_read(f->host, &c);
	if (r >= 0)
		f->servers = take_ptr(c.mirrors);
	registry_config_done(&c);
	return r;
}

static int open_files(struct fetcher *f)
{
	_close_ int table = -1, state = -1;
	int r;

	f->dirfd = arrival_dir(f->s, &f->manifest);
	if (f->dirfd < 0)
		return f->dirfd == -ENOENT ? err(-ENOENT, "no image sha256:%.12s arrives",
						 digest_hex(&f->manifest).s) :
					     f->dirfd;
	table = openat(f->dirfd, "table", O_RDONLY | O_CLOEXEC);
	r = table < 0 ? err_sys("table of an arriving image") : table_read(table, &f->table);
	if (r >= 0)
		r = arrival_open_state(f->dirfd, &f->table, true, &state, &f->data_fd);
	if (r >= 0)
		r = state_map(state, &f->table, true, &f->state);
	return r < 0 ? r : arrival_note_read(f->dirfd, &f->note);
}

static void fetcher_done(struct fetcher *f)
{
	desk_unmap(f->desk);
	state_done(&f->state);
	table_done(&f->table);
	arrival_note_done(&f->note);
	free(f->host);
	free(f->repo);
	strv_free(f->servers);
	free(f->touched);
	fd_close(f->data_fd);
	fd_close(f->dirfd);
}

static int fetcher_open(struct fetcher *f, struct store *s, const struct digest *manifest)
{
	int r;

	*f = (struct fetcher){ .s = s,
			       .manifest = *manifest,
			       .dirfd = -1,
			       .data_fd = -1,
			       .door = -1,
			       .lock = PTHREAD_MUTEX_INITIALIZER,
			       .rung = PTHREAD_COND_INITIALIZER };
	r = open_files(f);
	if (r >= 0)
		r = split_source(f);
	if (r < 0)
		return r;
	curl_global_init(CURL_GLOBAL_DEFAULT); /* before there are threads */
	f->recording = !store_has(s, touched_file(manifest).s);
	return 0;
}

int arriving_fetch(struct store *s, const struct digest *manifest, int desk_fd, int door_fd)
{
	_cleanup_(fetcher_done) struct fetcher f;
	int r = fetcher_open(&f, s, manifest);

	f.door = door_fd;
	if (r >= 0 && desk_fd >= 0)
		r = desk_map(desk_fd, &f.desk);
	if (r < 0)
		return r;
	if (f.desk)
		return serve(&f);
	r = behind_run(&f, false);
	return r == -EWOULDBLOCK ? 0 : r;
}

void arriving_prefetch(struct store *s, const struct digest *manifest)
{
	_cleanup_(fetcher_done) struct fetcher f;

	if (fetcher_open(&f, s, manifest) >= 0)
		touched_fetch(&f);
	err_clear(); /* whoever reads it hears of it */
}
