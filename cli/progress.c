/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/terminal.h"
#include <stdio.h>
#include <unistd.h>

#define LINES_MAX 8 /* drawn at once; what waits is counted in the last */
#define BAR	  20
#define DRAW_NS	  100000000ull	/* between two drawings */
#define QUIET_NS  1000000000ull /* what ends sooner is not drawn */

struct line {
	struct digest blob;
	enum transfer_state state;
	uint64_t done, size;
	uint64_t began_ns, began; /* when its first bytes were told, and how many were there then */
};

struct progress {
	const char *done_word;
	bool tty;
	unsigned columns;
	uint64_t began_ns, drawn_ns;
	unsigned drawn; /* lines on the screen */
	struct line *lines;
	size_t n, cap, ended, count;
};

struct progress *progress_new(const char *done)
{
	struct progress *p = new0(struct progress);
	const char *term = getenv("TERM");
	unsigned rows, columns = 0;

	if (!p)
		return NULL;
	p->done_word = done;
	p->tty = isatty(STDERR_FILENO) && !(term && streq(term, "dumb"));
	p->columns = terminal_size(STDERR_FILENO, &rows, &columns) == 0 && columns ? columns : 80;
	p->began_ns = clock_ns();
	return p;
}

/* ---- drawing ---- */

static void erase(struct progress *p)
{
	for (; p->drawn; p->drawn--)
		fprintf(stderr, "\x1b[A\x1b[2K");
}

static void put_line(struct progress *p, const char *text)
{
	fprintf(stderr, "%.*s\n", (int)p->columns - 1, text);
	p->drawn++;
}

/* " 8.1MB/s  12s", or nothing while it is too early to tell. */
static void rate_text(const struct line *l, uint64_t now, char *ret, size_t size)
{
	double seconds = (double)(now - l->began_ns) / 1e9;
	double rate = seconds > 0.2 ? (double)(l->done - MIN(l->began, l->done)) / seconds : 0;

	*ret = '\0';
	if (rate >= 1)
		snprintf(ret, size, "  %s/s  %.0fs", str_human((uint64_t)rate).s,
			 (double)(l->size - l->done) / rate);
}

static void draw_line(struct progress *p, const struct line *l, uint64_t now)
{
	unsigned part = l->size ? (unsigned)(l->done * BAR / l->size) : BAR;
	char bar[BAR + 1], rate[64], text[256];

	if (l->state == TRANSFER_UNPACKS) {
		snprintf(text, sizeof(text), "%.12s: unpacking, %s", digest_hex(&l->blob).s,
			 str_human(l->size).s);
		put_line(p, text);
		return;
	}
	for (unsigned i = 0; i < BAR; i++)
		bar[i] = i < part ? '=' : i == part ? '>' : ' ';
	bar[BAR] = '\0';
	rate_text(l, now, rate, sizeof(rate));
	snprintf(text, sizeof(text), "%.12s: [%s] %s/%s%s", digest_hex(&l->blob).s, bar,
		 str_human(l->done).s, str_human(l->size).s, rate);
	put_line(p, text);
}

static bool under_way(const struct line *l)
{
	return l->state == TRANSFER_GOES || l->state == TRANSFER_UNPACKS;
}

static void draw(struct progress *p, uint64_t now)
{
	char text[64];
	size_t shown = 0, going = 0;

	erase(p);
	for (size_t i = 0; i < p->n; i++) {
		if (!under_way(&p->lines[i]))
			continue;
		going++;
		if (shown < LINES_MAX) {
			draw_line(p, &p->lines[i], now);
			shown++;
		}
	}
	if (p->count > p->ended + shown || going > shown) {
		snprintf(text, sizeof(text), "%zu of %zu done", p->ended, p->count);
		put_line(p, text);
	}
	fflush(stderr);
	p->drawn_ns = now;
}

/* ---- telling ---- */

static struct line *find(struct progress *p, const struct digest *blob)
{
	for (size_t i = 0; i < p->n; i++) {
		if (digest_eq(&p->lines[i].blob, blob))
			return &p->lines[i];
	}
	if (mem_grow(&p->lines, &p->cap, p->n + 1, sizeof(*p->lines)) < 0)
		return NULL;
	p->lines[p->n] = (struct line){ .blob = *blob };
	return &p->lines[p->n++];
}

static void print_end(struct progress *p, const struct transfer *t)
{
	const char *word = t->state == TRANSFER_HERE	? "already there" :
			   t->state == TRANSFER_MOUNTED ? "taken over" :
							  p->done_word;

	erase(p);
	fprintf(stderr, "%.12s: %s, %s\n", digest_hex(&t->blob).s, word, str_human(t->size).s);
	p->ended++;
}

void progress_tell(void *progress, const struct transfer *t)
{
	struct progress *p = progress;
	struct line *l = find(p, &t->blob);
	bool first = l && l->state == TRANSFER_WAITS && t->state == TRANSFER_GOES;
	uint64_t now = clock_ns();

	p->count = t->count;
	if (l) {
		l->state = t->state;
		l->done = MIN(t->done, t->size);
		l->size = t->size;
	}
	if (first) {
		l->began_ns = now;
		l->began = t->done;
	}
	if (t->state >= TRANSFER_DONE)
		print_end(p, t);
	if (p->tty && now - p->began_ns > QUIET_NS &&
	    (t->state >= TRANSFER_DONE || now - p->drawn_ns > DRAW_NS))
		draw(p, now);
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	erase(p);
	free(p->lines);
	free(p);
}
