/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/inst.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"

#define OCI_VERSION "1.2.0"
/* each more is one more whole life of a supervisor between two of our system calls */
#define TRUTH_TRIES 8

static const char *const status_names[] = {
	[INST_CREATED] = "created",
	[INST_RUNNING] = "running",
	[INST_PAUSED] = "paused",
	[INST_STOPPED] = "stopped",
};

const char *inst_status_name(enum inst_status s)
{
	return status_names[s];
}

static int status_parse(const char *name, enum inst_status *ret)
{
	for (size_t s = 0; name && s < ARRAY_SIZE(status_names); s++) {
		if (streq(name, status_names[s])) {
			*ret = (enum inst_status)s;
			return 0;
		}
	}
	return -EBADMSG;
}

/* ---- writing ---- */

/* A path or an error's text may be no UTF-8, which JSON has to be. */
static json_t *text_to_json(const char *text)
{
	json_t *j = json_string(text);
	_free_ char *ascii = NULL;

	if (j)
		return j;
	ascii = strdup(text);
	for (char *c = ascii; c && *c; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	return ascii ? json_string(ascii) : NULL;
}

static void add_time(json_t *o, const char *key, struct timespec t)
{
	if (t.tv_sec || t.tv_nsec)
		json_object_set_new(o, key, json_string(clock_text(t).s));
}

static json_t *record_ours(const struct inst_record *r)
{
	const struct inst_state *s = &r->state;
	json_t *o = json_pack("{s:s, s:I, s:i, s:I, s:i, s:b}", "bootId", r->boot.s, "pidStart",
			      (json_int_t)r->pid_start, "monitor", (int)s->monitor, "monitorStart",
			      (json_int_t)r->monitor_start, "exitCode", s->exit_code, "oomKilled",
			      s->oom_killed);

	if (!o)
		return NULL;
	add_time(o, "created", s->created);
	add_time(o, "started", s->started);
	add_time(o, "finished", s->finished);
	if (s->error[0])
		json_object_set_new(o, "error", text_to_json(s->error));
	return o;
}

static json_t *record_to_json(const struct inst *i, const struct inst_record *r)
{
	char runroot[4096], bundle[4096 + sizeof(INSTANCES) + 1 + INST_ID_MAX];
	/* By name, since while it is being made the directory has another one. */
	ssize_t n = readlink(fd_path(i->runroot).s, runroot, sizeof(runroot) - 1);
	json_t *annotations = json_get_object(i->config, "annotations");
	_json_ json_t *j = NULL;

	runroot[MAX(n, 0)] = '\0';
	snprintf(bundle, sizeof(bundle), "%s/" INSTANCES "/%s", runroot, i->id);
	j = json_pack("{s:s, s:s, s:s, s:o, s:o}", "ociVersion", OCI_VERSION, "id", i->id, "status",
		      inst_status_name(r->state.status), "bundle", text_to_json(bundle), "strata",
		      record_ours(r));
	if (!j)
		return NULL;
	if (r->state.pid && json_object_set_new(j, "pid", json_integer(r->state.pid)) < 0)
		return NULL;
	if (annotations && json_object_set(j, "annotations", annotations) < 0)
		return NULL;
	return take_ptr(j);
}

static void start_time(pid_t pid, uint64_t *start)
{
	if (pid > 0 && !*start)
		proc_start_time(pid, start);
}

int inst_record_write(const struct inst *i, struct inst_record *r)
{
	_json_ json_t *j = NULL;
	_free_ char *text = NULL;
	size_t len;
	int e;

	if (!r->boot.s[0]) {
		e = proc_boot_id(&r->boot);
		if (e < 0)
			return err(e, "boot id: %s", strerror(-e));
	}
	start_time(r->state.pid, &r->pid_start);
	start_time(r->state.monitor, &r->monitor_start);
	j = record_to_json(i, r);
	text = j ? json_text(j, &len) : NULL;
	if (!text)
		return -ENOMEM;
	e = file_replace(i->dir, "state.json", text, len, 0600, false);
	return e < 0 ? err(e, "state of instance %s: %s", i->id, strerror(-e)) : 0;
}

/* ---- reading ---- */

static void get_time(const json_t *o, const char *key, struct timespec *t)
{
	const char *text = json_get_str(o, key);

	if (text)
		clock_parse(text, t);
}

static void record_from_ours(const json_t *o, struct inst_record *r)
{
	struct inst_state *s = &r->state;
	const char *text;

	s->monitor = (pid_t)json_get_int(o, "monitor", 0);
	s->exit_code = (int)json_get_int(o, "exitCode", -1);
	s->oom_killed = json_get_bool(o, "oomKilled", 0) > 0;
	r->pid_start = (uint64_t)json_get_int(o, "pidStart", 0);
	r->monitor_start = (uint64_t)json_get_int(o, "monitorStart", 0);
	get_time(o, "created", &s->created);
	get_time(o, "started", &s->started);
	get_time(o, "finished", &s->finished);
	text = json_get_str(o, "error");
	if (text)
		snprintf(s->error, sizeof(s->error), "%s", text);
	text = json_get_str(o, "bootId");
	if (text)
		snprintf(r->boot.s, sizeof(r->boot.s), "%s", text);
}

int inst_record_read(const struct inst *i, struct inst_record *ret)
{
	struct inst_record record = { 0 };
	_json_ json_t *j = NULL;
	char what[32 + INST_ID_MAX];
	int r;

	snprintf(what, sizeof(what), "state of instance %s", i->id);
	if (faccessat(i->dir, "state.json", F_OK, 0) < 0 && errno == ENOENT)
		return -ENOENT;
	r = json_parse_file(i->dir, "state.json", what, &j);
	if (r < 0)
		return r;
	record.state.pid = (pid_t)json_get_int(j, "pid", 0);
	record_from_ours(json_get_object(j, "strata"), &record);
	r = status_parse(json_get_str(j, "status"), &record.state.status);
	if (r < 0)
		return err(r, "%s: no status that is known", what);
	*ret = record;
	return 0;
}

void inst_record_end(struct inst_record *r)
{
	r->state.status = INST_STOPPED;
	r->state.pid = 0;
	r->state.exit_code = -1;
}

/*
 * Whether the record can only have been left by a supervisor that was killed, given that none
 * lives.
 */
static bool record_orphaned(const struct inst_record *r)
{
	struct boot_id now;

	if (r->state.status == INST_STOPPED)
		return false;
	if (r->state.monitor > 0 || r->state.status != INST_CREATED)
		return true;
	return proc_boot_id(&now) == 0 && !streq(now.s, r->boot.s);
}

int inst_record_truth(const struct inst *i, struct inst_record *ret)
{
	struct inst_record record = { 0 };
	int before, after;

	for (int try = 0; try < TRUTH_TRIES; try++) {
		before = inst_locked(i);
		if (before < 0)
			return before;
		after = inst_record_read(i, &record);
		if (after < 0)
			return after;
		if (before || !record_orphaned(&record))
			break;
		/*
		 * Free, and it did not say how it ended: unless one came and went while we looked.
		 */
		after = inst_locked(i);
		if (after < 0)
			return after;
		if (!after && inst_record_read(i, ret) == 0 &&
		    ret->state.status == record.state.status) {
			inst_record_end(&record);
			break;
		}
	}
	*ret = record;
	return 0;
}

int inst_state(const struct inst *i, struct inst_state *ret)
{
	struct inst_record record = { 0 };
	int r;

	r = inst_record_truth(i, &record);
	if (r == -ENOENT && i->ended) {
		*ret = i->last;
		return 0;
	}
	if (r == -ENOENT)
		return err(r, "instance %s: it is gone", i->id);
	if (r < 0)
		return r;
	*ret = record.state;
	return 0;
}
