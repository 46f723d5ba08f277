/* SPDX-License-Identifier: Apache-2.0 */
/* What all verbs print: errors, tables, ages, JSON. */
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/util.h"
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define COLUMNS_MAX 12

int cli_fail(int e)
{
	char line[ERR_TEXT_MAX];

	str_printable(line, sizeof(line), err_take(e));
	fprintf(stderr, "strata: %s\n", line);
	return EXIT_ERROR;
}

int cli_fail_text(const char *fmt, ...)
{
	char text[ERR_TEXT_MAX], line[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_printable(line, sizeof(line), text);
	fprintf(stderr, "strata: %s\n", line);
	return EXIT_ERROR;
}

struct table {
	size_t ncolumns, nrows, cap;
	char **cells; /* ncolumns per row, the headers first */
};

struct table *table_new(const char *const *headers)
{
	struct table *t = new0(struct table);

	if (!t)
		return NULL;
	while (headers[t->ncolumns])
		t->ncolumns++;
	table_row(t, headers);
	return t;
}

void table_row(struct table *t, const char *const *cells)
{
	if (mem_grow(&t->cells, &t->cap, (t->nrows + 1) * t->ncolumns, sizeof(*t->cells)) < 0)
		return;
	for (size_t i = 0; i < t->ncolumns; i++) {
		char cell[512];

		str_printable(cell, sizeof(cell), cells[i] ? cells[i] : "");
		t->cells[t->nrows * t->ncolumns + i] = strdup(cell);
	}
	t->nrows++;
}

static const char *cell(const struct table *t, size_t row, size_t column)
{
	const char *s = t->cells[row * t->ncolumns + column];

	return s ? s : "";
}

void table_print(struct table *t, bool headers)
{
	size_t width[COLUMNS_MAX] = { 0 };

	for (size_t r = headers ? 0 : 1; r < t->nrows; r++)
		for (size_t c = 0; c < t->ncolumns; c++)
			width[c] = MAX(width[c], strlen(cell(t, r, c)));
	for (size_t r = headers ? 0 : 1; r < t->nrows; r++) {
		for (size_t c = 0; c + 1 < t->ncolumns; c++)
			printf("%-*s  ", (int)width[c], cell(t, r, c));
		printf("%s\n", cell(t, r, t->ncolumns - 1));
	}
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->nrows * t->ncolumns; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

struct ago cli_ago(int64_t seconds_since_1970)
{
	static const struct {
		int64_t seconds;
		const char *one, *many;
	} units[] = {
		{ 365 * 86400, "year", "years" }, { 30 * 86400, "month", "months" },
		{ 7 * 86400, "week", "weeks" },	  { 86400, "day", "days" },
		{ 3600, "hour", "hours" },	  { 60, "minute", "minutes" },
		{ 1, "second", "seconds" },
	};
	int64_t age = time(NULL) - seconds_since_1970;
	struct ago a = { "now" };

	if (seconds_since_1970 <= 0) /* not told, or damaged */
		return (struct ago){ "unknown" };
	for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
		int64_t n = age / units[i].seconds;

		if (n < 1)
			continue;
		snprintf(a.s, sizeof(a.s), "%lld %s ago", (long long)MIN(n, 9999),
			 n == 1 ? units[i].one : units[i].many);
		break;
	}
	return a;
}

int64_t cli_created(const json_t *j)
{
	const char *text = json_get_str(j, "created");
	struct timespec t;

	return text && clock_parse(text, &t) == 0 ? t.tv_sec : 0;
}

void cli_print_json(const json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	printf("\n");
}

int cli_format(const char *word, bool *ret_json)
{
	if (!word || streq(word, "table"))
		*ret_json = false;
	else if (streq(word, "json"))
		*ret_json = true;
	else
		return cli_fail_text("--format '%s': must be table or json", word), -EINVAL;
	return 0;
}

int cli_platform(const char *word, struct platform *p, const struct platform **ret_p)
{
	int r = word ? platform_parse(word, p) : 0;

	if (r < 0)
		cli_fail(r);
	else
		*ret_p = word ? p : NULL;
	return r;
}

int cli_seconds(const char *verb, const char *word, int *ret_seconds)
{
	uint64_t n;

	if (!word)
		return 0;
	if (str_u64(word, 0, STOP_SECONDS_MAX, &n) < 0) {
		cli_fail_text("%s: --time %s: must be 0 to %d seconds", verb, word,
			      STOP_SECONDS_MAX);
		return -EINVAL;
	}
	*ret_seconds = (int)n;
	return 0;
}
