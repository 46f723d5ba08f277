/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving images as an OCI layout: their documents and blobs as they came, checked on the way out.
 */
#include "imagestore/save.h"

#include <sys/stat.h>

#define COPY   (256u << 10)
#define LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"

struct save {
	struct store *s;
	struct save_target *to;
	struct txn *t; /* NULL: nothing can be written, so nothing can be held or made again */
	struct digest_set written;
	json_t *index;
	char *copy;
};

static int put_text(struct save *v, const char *name, const char *text)
{
	int r = save_target_file(v->to, name, strlen(text));

	if (r >= 0)
		r = save_target_write(v->to, text, strlen(text));
	return r < 0 ? r : save_target_file_end(v->to);
}

static int copy_bytes(struct save *v, int fd, uint64_t size, struct digest *ret)
{
	struct sha256 h;

	sha256_init(&h);
	while (size) {
		size_t want = (size_t)MIN(size, (uint64_t)COPY);
		ssize_t n = fd_read_full(fd, v->copy, want);
		int r;

		if (n < 0 || (size_t)n < want)
			return n < 0 ? (int)n : -EIO;
		sha256_update(&h, v->copy, want);
		r = save_target_write(v->to, v->copy, want);
		if (r < 0)
			return r;
		size -= want;
	}
	*ret = sha256_final(&h);
	return 0;
}

static int put_blob(struct save *v, const struct digest *d)
{
	_close_ int fd = -1;
	struct digest got;
	struct stat st;
	int r = digest_set_add(&v->written, d);

	if (r <= 0)
		return r;
	fd = v->t ? txn_blob_open(v->t, d) : blob_open(v->s, d);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys("blob sha256:%s", digest_hex(d).s);
	r = save_target_file(v->to, blob_file(d).s, (uint64_t)st.st_size);
	if (r >= 0)
		r = copy_bytes(v, fd, (uint64_t)st.st_size, &got);
	if (r < 0)
		return err(r, "blob sha256:%s: %s", digest_hex(d).s, strerror(-r));
	if (!digest_eq(&got, d))
		return err(-EBADMSG, "blob sha256:%s: digest mismatch: the file is damaged",
			   digest_hex(d).s);
	return save_target_file_end(v->to);
}

/* The media type that index.json has for the manifest; one that was made now says its own. */
static int media_type(struct save *v, const json_t *index, const struct digest *manifest,
		      char ret[96])
{
	_free_ char *text = NULL;
	_json_ json_t *doc = NULL;
	json_t *entry;
	struct digest d;
	size_t i, len;
	int r = 0;

	str_copy(ret, 96, MEDIA_MANIFEST);
	json_array_foreach(json_get_array(index, "manifests"), i, entry)
	{
		if (index_entry_digest(entry, &d) == 0 && digest_eq(&d, manifest))
			return str_copy(ret, 96,
					json_get_str(entry, "mediaType") ?: MEDIA_MANIFEST);
	}
	if (v->t)
		r = file_read_all(v->t->dirfd, txn_blob(manifest).s, JSON_MAX, &text, &len);
	if (r >= 0 && text)
		r = json_parse(text, len, "manifest", &doc);
	return r < 0 ? r : str_copy(ret, 96, json_get_str(doc, "mediaType") ?: MEDIA_MANIFEST);
}

static int put_image(struct save *v, const json_t *names, const struct image *i)
{
	char type[96];
	struct stat st;
	int r = media_type(v, names, &i->manifest, type);

	if (r < 0)
		return err(r, "manifest sha256:%s: no media type", digest_hex(&i->manifest).s);

	if (fstatat(v->t ? v->t->dirfd : v->s->dirfd,
		    v->t ? txn_blob(&i->manifest).s : blob_file(&i->manifest).s, &st, 0) < 0)
		return err_sys("manifest sha256:%s", digest_hex(&i->manifest).s);
	r = index_set(v->index, i->name, type, &i->manifest, (uint64_t)st.st_size, NULL);
	if (r >= 0)
		r = put_blob(v, &i->manifest);
	if (r >= 0)
		r = put_blob(v, &i->config_digest);
	for (size_t l = 0; r >= 0 && l < i->nlayers; l++)
		r = put_blob(v, &i->layers[l].blob);
	return r;
}

static int put_images(struct save *v, char *const *refs)
{
	_json_ json_t *names = NULL;
	int r = index_read(v->s, &names);

	for (; r >= 0 && *refs; refs++) {
		struct image *i;

		r = v->t ? txn_give(v->t, *refs, &i) : image_open(v->s, *refs, &i);
		if (r < 0)
			return r;
		r = put_image(v, names, i);
		image_close(i);
	}
	return r;
}

static int begin(struct save *v)
{
	int r = v->s->rdonly ? -EROFS : txn_begin(v->s, &v->t);

	if (r != -EROFS && r != -EACCES && r != -EPERM)
		return r;
	err_clear();
	return 0;
}

static int put_all(struct save *v, char *const *refs)
{
	_free_ char *text = NULL;
	int r = put_text(v, "oci-layout", LAYOUT);

	if (r >= 0)
		r = save_target_folder(v->to, "blobs");
	if (r >= 0)
		r = save_target_folder(v->to, "blobs/sha256");
	if (r >= 0)
		r = put_images(v, refs);
	if (r < 0)
		return r;
	text = json_text(v->index, NULL);
	return text ? put_text(v, "index.json", text) : -ENOMEM;
}

int store_save(struct store *s, char *const *refs, const char *path, enum save_format format)
{
	struct save v = { .s = s };
	int closed, r;

	if (!refs || !*refs)
		return err(-EINVAL, "no image to save");
	v.copy = malloc(COPY);
	v.index = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", MEDIA_INDEX,
			    "manifests");
	r = v.copy && v.index ? begin(&v) : -ENOMEM;
	if (r >= 0)
		r = save_target_open(path, format != SAVE_OCI_FOLDER, &v.to);
	if (r >= 0) {
		r = format == SAVE_DOCKER_ARCHIVE ? save_docker(s, v.t, refs, v.to) :
						    put_all(&v, refs);
		closed = save_target_close(v.to, r >= 0);
		r = r < 0 ? r : closed;
	}
	txn_abort(v.t);
	digest_set_done(&v.written);
	json_decref(v.index);
	free(v.copy);
	return r < 0 ? r : 0;
}
