/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/arrival/folder.h"

#include "base/proc.h"
#include <sys/stat.h>

struct store_file arrival_file(const struct digest *manifest, const char *name)
{
	struct store_file f;

	snprintf(f.s, sizeof(f.s), "arriving/%s%s%s", digest_hex(manifest).s, name ? "/" : "",
		 name ? name : "");
	return f;
}

struct store_file touched_file(const struct digest *manifest)
{
	struct store_file f;

	snprintf(f.s, sizeof(f.s), "touched/%s", digest_hex(manifest).s);
	return f;
}

int arrival_dir(struct store *s, const struct digest *manifest)
{
	int fd = openat(s->dirfd, arrival_file(manifest, NULL).s,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_sys("%s/arriving", s->path);
	return fd;
}

bool arrival_is_named(struct store *s, const struct digest *manifest, int dirfd)
{
	struct stat a, b;

	return fstat(dirfd, &a) == 0 &&
	       fstatat(s->dirfd, arrival_file(manifest, NULL).s, &b, 0) == 0 &&
	       a.st_ino == b.st_ino;
}

bool arrival_is_whole(int dirfd)
{
	return faccessat(dirfd, "whole", F_OK, 0) == 0;
}

bool arrival_has_come(struct store *s, const struct digest *manifest, int dirfd)
{
	_json_ json_t *index = NULL;
	const json_t *entry;
	struct digest d;
	size_t i;

	if (arrival_is_whole(dirfd))
		return true;
	if (index_read(s, &index) >= 0) {
		json_array_foreach(json_get_array(index, "manifests"), i, entry)
		{
			if (index_entry_digest(entry, &d) >= 0 && digest_eq(&d, manifest))
				return true;
		}
	}
	err_clear();
	return false;
}

/* ---- the note ---- */

static int copy_text(const json_t *doc, const char *key, char **ret)
{
	const char *text = json_get_str(doc, key);

	if (!text)
		return err(-EBADMSG, "an arriving image without its \"%s\"", key);
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

int arrival_note_read(int dirfd, struct arrival_note *ret)
{
	_json_ json_t *doc = NULL;
	struct arrival_note n = { 0 };
	const char *asked;
	int r = json_parse_file(dirfd, "image", "arriving image", &doc);

	if (r >= 0)
		r = copy_text(doc, "source", &n.source);
	if (r >= 0)
		r = copy_text(doc, "platform", &n.platform);
	if (r >= 0 && json_object_get(doc, "name"))
		r = copy_text(doc, "name", &n.name);
	asked = json_get_str(doc, "asked");
	if (r >= 0 && (!asked || digest_parse(asked, &n.asked) < 0))
		r = err(-EBADMSG, "an arriving image without its \"asked\"");
	if (r < 0)
		arrival_note_done(&n);
	else
		*ret = n;
	return r < 0 ? r : 0;
}

int arrival_note_write(int dirfd, const struct arrival_note *n)
{
	_json_ json_t *doc = json_pack("{s:s*, s:s, s:s, s:o}", "name", n->name, "source",
				       n->source, "platform", n->platform, "asked",
				       json_sprintf("sha256:%s", digest_hex(&n->asked).s));
	size_t len = 0;
	_free_ char *text = doc ? json_text(doc, &len) : NULL;
	int r = text ? file_replace(dirfd, "image", text, len, 0644, true) : -ENOMEM;

	return r < 0 ? err(r, "arriving image: %s", strerror(-r)) : 0;
}

void arrival_note_done(struct arrival_note *n)
{
	free(n->name);
	free(n->source);
	free(n->platform);
}

/* ---- the image ---- */

static int document(int dirfd, const char *name, const struct digest *want, json_t **ret,
		    uint64_t *ret_size)
{
	_free_ char *text = NULL;
	struct digest got;
	size_t len;
	int r = file_read_all(dirfd, name, JSON_MAX, &text, &len);

	if (r < 0)
		return err(r, "%s of an arriving image: %s", name, strerror(-r));
	got = sha256_of(text, len);
	if (!digest_eq(&got, want))
		return err(-EBADMSG, "%s of an arriving image: digest mismatch", name);
	*ret_size += len;
	return json_parse(text, len, name, ret);
}

static int read_image(int dirfd, struct image *i)
{
	_cleanup_(arrival_note_done) struct arrival_note n = { 0 };
	_json_ json_t *manifest = NULL;
	uint64_t size = 0; /* manifest_parse() counts the config */
	int r = arrival_note_read(dirfd, &n);

	if (r >= 0)
		r = document(dirfd, "manifest", &i->manifest, &manifest, &i->size);
	if (r >= 0)
		r = manifest_parse(manifest, i);
	if (r >= 0)
		r = document(dirfd, "config", &i->config_digest, &i->config, &size);
	if (r >= 0)
		i->name = take_ptr(n.name);
	return r < 0 ? r : config_parse(i);
}

int arrival_image(int dirfd, const struct digest *manifest, struct image **ret)
{
	struct image *i = new0(struct image);
	int r;

	if (!i)
		return -ENOMEM;
	i->manifest = *manifest;
	r = read_image(dirfd, i);
	if (r < 0)
		image_close(i);
	else
		*ret = i;
	return r;
}

/* ---- all of them ---- */

struct walk {
	struct store *s;
	arrival_fn *fn;
	void *ctx;
};

static int visit(void *ctx, const char *name)
{
	struct walk *w = ctx;
	struct digest d;
	_close_ int dirfd = -1;

	if (digest_parse_hex(name, strlen(name), &d) < 0)
		return 0;
	dirfd = arrival_dir(w->s, &d);
	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	return w->fn(w->ctx, &d, dirfd);
}

int arrival_each(struct store *s, arrival_fn *fn, void *ctx)
{
	struct walk w = { .s = s, .fn = fn, .ctx = ctx };
	int r = folder_each(s->dirfd, "arriving", visit, &w);

	return r == -ENOENT ? 0 : r;
}

/* ---- state and data ---- */

static int make_file(int dirfd, const char *name, const void *data, size_t len, uint64_t size)
{
	_close_ int fd = -1;
	char hidden[32];
	int r;

	snprintf(hidden, sizeof(hidden), ".%s", name);
	fd = openat(dirfd, hidden, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = len ? fd_write_full(fd, data, len) : 0;
	if (r >= 0 && ftruncate(fd, (off_t)size) < 0)
		r = -errno;
	if (r >= 0 && renameat(dirfd, hidden, dirfd, name) < 0)
		r = -errno;
	return r;
}

static uint64_t data_size(const struct table *t)
{
	const struct table_chunk *last;

	if (!t->head->nchunks)
		return 0;
	last = &t->chunks[t->head->nchunks - 1];
	return last->at + last->len;
}

int arrival_make_state(int dirfd, const struct table *t)
{
	size_t size = state_size(t);
	_free_ uint8_t *image = mem_new(size, 1);
	struct state_head *head = (void *)image;
	struct boot_id boot;
	int r = image ? proc_boot_id(&boot) : -ENOMEM;

	if (r < 0)
		return r;
	memcpy(head->magic, STATE_MAGIC, sizeof(head->magic));
	memcpy(head->boot, boot.s, sizeof(boot.s));
	for (uint32_t i = 0; i < t->head->nchunks; i++)
		image[sizeof(*head) + i] = t->chunks[i].zero ? CHUNK_ZEROS : CHUNK_AWAY;
	/* The data first: a state that is there speaks of it. */
	r = make_file(dirfd, "data", NULL, 0, data_size(t));
	if (r >= 0)
		r = make_file(dirfd, "state", image, size, size);
	return r < 0 ? err(r, "arriving image: %s", strerror(-r)) : 0;
}

static int try_state(int dirfd, const struct table *t, int mode, int *ret_state_fd)
{
	_close_ int fd = openat(dirfd, "state", mode | O_CLOEXEC);
	struct state s;
	int r = fd < 0 ? -ESTALE : state_map(fd, t, false, &s);

	if (r < 0)
		return r;
	if (!state_is_current(&s))
		r = -ESTALE;
	state_done(&s);
	if (r >= 0)
		*ret_state_fd = take_fd(fd);
	return r;
}

/* Whoever is first after a boot; nobody can have opened the old ones by then. */
static int begin_anew(int dirfd, const struct table *t, int mode, int *ret_state_fd)
{
	_close_ int own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = own < 0 ? -errno : fd_lock(own, true, true);

	if (r >= 0)
		r = try_state(dirfd, t, mode, ret_state_fd);
	if (r != -ESTALE)
		return r;
	r = arrival_make_state(dirfd, t);
	return r < 0 ? r : try_state(dirfd, t, mode, ret_state_fd);
}

int arrival_open_state(int dirfd, const struct table *t, bool write, int *ret_state_fd,
		       int *ret_data_fd)
{
	const int mode = write ? O_RDWR : O_RDONLY;
	_close_ int state = -1, data = -1;
	int r = try_state(dirfd, t, mode, &state);

	if (r == -ESTALE)
		r = begin_anew(dirfd, t, mode, &state);
	if (r < 0)
		return r;
	data = openat(dirfd, "data", mode | O_CLOEXEC);
	if (data < 0)
		return err_sys("data of an arriving image");
	*ret_state_fd = take_fd(state);
	*ret_data_fd = take_fd(data);
	return 0;
}
