/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts out and in again, and such as mean harm. */
#include "imagestore/store.h"
#include "tests/imagestore/kit.h"

static void make_layers(struct buf tars[2])
{
	tar_big(&tars[0], "usr/large", 100000, 1);
	tar_big(&tars[0], "usr/small", 3000, 2);
	tar_end(&tars[0]);
	tar_file(&tars[1], "etc/file", "text");
	tar_add(&tars[1], '1', "etc/link", "usr/large", "", 0);
	tar_end(&tars[1]);
}

static void loaded(void *ctx, const char *name, _unused_ const struct digest *manifest)
{
	assert_ok(strv_add(ctx, name ? name : ""));
}

static void round_trip(struct kit *k, bool as_tar)
{
	struct buf tars[2] = { { 0 }, { 0 } };
	_free_ char *path = str_fmt("%s.saved", k->root);
	_strv_free_ char **names = NULL;
	struct image_layer l[2];
	struct image *a, *b;
	struct kit other;

	make_layers(tars);
	assert_done(import_image(k->s, "x", tars, 2, l));
	assert_done(import_image(k->s, "y:2", tars, 1, l));
	assert_done(store_save(k->s, (char *[]){ (char *)"x", (char *)"y:2", NULL }, path, as_tar));
	kit_open(&other);
	assert_done(store_load(other.s, path,
			       &(struct load_options){ .loaded = loaded, .ctx = &names }));
	assert_int_equal(strv_len(names), 2);
	assert_string_equal(names[0], "x:latest");
	assert_string_equal(names[1], "y:2");
	assert_done(image_open(k->s, "x", &a));
	assert_done(image_open(other.s, "x", &b));
	assert_true(digest_eq(&a->manifest, &b->manifest));
	assert_int_equal(a->size, b->size);
	image_close(a);
	image_close(b);
	assert_sound(other.s);
	assert_exports(other.s, &l[0].diff_id, &tars[0]);
	assert_done(store_load(other.s, path, NULL)); /* it is all there: once more */
	assert_sound(other.s);
	assert_done(image_remove(other.s, "x"));
	assert_done(image_remove(other.s, "y:2"));
	assert_int_equal(count_files(&other), 0);
	kit_close(&other);
	assert_ok(fd_remove_tree(AT_FDCWD, path));
	buf_done(&tars[0]);
	buf_done(&tars[1]);
}

static void folder(void **state)
{
	round_trip(*state, false);
}

static void archive(void **state)
{
	round_trip(*state, true);
}

static void save_errors(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf tar = { 0 };
	_free_ char *path = str_fmt("%s.saved", k->root), *blob = NULL;
	struct image_layer l;

	tar_file(&tar, "a", "x");
	tar_end(&tar);
	assert_done(import_image(k->s, "x", &tar, 1, &l));
	assert_err(store_save(k->s, (char *[]){ (char *)"nosuch", NULL }, path, true), -ENOENT,
		   "nosuch");
	assert_int_equal(access(path, F_OK), -1);
	assert_err(store_save(k->s, (char *[]){ (char *)"x", NULL }, k->root, false), -ENOTEMPTY,
		   "not empty");
	assert_sound(k->s);
	blob = str_fmt("blobs/sha256/%s", digest_hex(&l.blob).s);
	flip(k->s, blob, 12);
	assert_err(store_save(k->s, (char *[]){ (char *)"x", NULL }, path, true), -EBADMSG,
		   "digest mismatch");
	assert_int_equal(access(path, F_OK), -1);
	assert_err(store_save(k->s, (char *[]){ (char *)"x", NULL }, path, false), -EBADMSG,
		   "digest mismatch");
	assert_int_equal(access(path, F_OK), -1);
}

/* ---- layouts made by hand ---- */

struct layout {
	char path[64];
	int fd;
	struct digest diff_id, blob;
	uint64_t blob_size;
};

static struct digest put_blob(struct layout *y, const char *data, size_t len)
{
	struct digest d = sha256_of(data, len);
	_free_ char *name = str_fmt("blobs/sha256/%s", digest_hex(&d).s);
	_close_ int fd = openat(y->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_ok(fd_write_full(fd, data, len));
	return d;
}

static void layout_open(struct layout *y)
{
	_buf_done_ struct buf tar = { 0 };

	y->fd = temp_open(y->path);
	assert_ok(fd_mkdir_p(y->fd, "blobs/sha256", 0755));
	temp_file(y->fd, "oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}\n");
	tar_file(&tar, "file", "text");
	tar_end(&tar);
	y->blob = y->diff_id = put_blob(y, tar.data, tar.len);
	y->blob_size = tar.len;
}

/* What a good image says; each may be replaced. */
struct parts {
	const char *layer_type, *layer_digest, *config_type, *diff_ids, *layers, *os, *name;
	long long layer_size, manifest_size;
};

static void layout_image(struct layout *y, const struct parts *p)
{
	_free_ char *digest = str_fmt("sha256:%s", digest_hex(&y->blob).s);
	_free_ char *ids = str_fmt("\"%s\"", digest), *layers = NULL, *config = NULL,
		    *manifest = NULL, *index = NULL;
	struct digest c, m;

	config =
		str_fmt("{\"os\":\"%s\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\","
			"\"diff_ids\":[%s]}}",
			p->os ?: "linux", p->diff_ids ?: ids);
	c = put_blob(y, config, strlen(config));
	layers = str_fmt("{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld,"
			 "\"urls\":[\"http://127.0.0.1:1/\"]}",
			 p->layer_type ?: "application/vnd.oci.image.layer.v1.tar",
			 p->layer_digest ?: digest, p->layer_size ?: (long long)y->blob_size);
	manifest = str_fmt(
		"{\"schemaVersion\":2,\n \"config\":{\"mediaType\":\"%s\",\"digest\":\"sha256:%s\","
		"\"size\":%zu},\"layers\":[%s]}",
		p->config_type ?: "application/vnd.oci.image.config.v1+json", digest_hex(&c).s,
		strlen(config), p->layers ?: layers);
	m = put_blob(y, manifest, strlen(manifest));
	index = str_fmt(
		"{\"schemaVersion\":2,"
		"\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"digest\":\"sha256:%s\",\"size\":%lld,\"annotations\":"
		"{\"org.opencontainers.image.ref.name\":\"%s\"}}]}",
		digest_hex(&m).s, p->manifest_size ?: (long long)strlen(manifest), p->name ?: "n");
	temp_file(y->fd, "index.json", index);
}

static void plain_layer(void **state)
{
	struct kit *k = *state;
	struct image *i;
	struct layout y;

	layout_open(&y);
	layout_image(&y, &(struct parts){ 0 });
	assert_done(store_load(k->s, y.path, NULL));
	assert_done(image_open(k->s, "n", &i));
	assert_true(digest_eq(&i->layers[0].blob, &y.blob)); /* as it came: not compressed */
	image_close(i);
	assert_sound(k->s);
	temp_close(y.path, y.fd);
}

static void refused(void **state, const struct parts *p, const char *why)
{
	struct kit *k = *state;
	struct layout y;

	layout_open(&y);
	layout_image(&y, p);
	assert_err(store_load(k->s, y.path, NULL), -EBADMSG, why);
	assert_int_equal(count_images(k->s), 0);
	assert_int_equal(count_files(k), 0);
	temp_close(y.path, y.fd);
}

#define OF_NOTHING "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void hostile(void **state)
{
	static const char *const foreign[] = {
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	};

	refused(state, &(struct parts){ .diff_ids = "" }, "0 diff_ids for 1 layers");
	refused(state, &(struct parts){ .diff_ids = "\"sha256:00\"" }, "is no sha256 digest");
	refused(state, &(struct parts){ .diff_ids = "\"" OF_NOTHING "\"" },
		"digest mismatch: the layer");
	refused(state, &(struct parts){ .layer_digest = "sha256:../../../../etc/passwd" },
		"is no digest");
	refused(state, &(struct parts){ .layer_digest = "../index.json" }, "is no digest");
	refused(state, &(struct parts){ .layer_digest = OF_NOTHING }, "not in the layout");
	refused(state, &(struct parts){ .layer_size = 5 }, "its descriptor says 5");
	refused(state, &(struct parts){ .layer_size = -5 }, "no size");
	refused(state, &(struct parts){ .manifest_size = 5 }, "its descriptor says 5");
	refused(state,
		&(struct parts){ .layer_type =
					 "application/vnd.oci.image.layer.v1.tar+gzip+encrypted" },
		"+encrypted\" is not known");
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		refused(state, &(struct parts){ .layer_type = foreign[i] },
			"is of a foreign layer: it is not taken, and no urls are followed");
	refused(state,
		&(struct parts){ .layer_type = "application/vnd.wasm.content.layer.v1+wasm" },
		"wasm\" is not known");
	refused(state, &(struct parts){ .config_type = "application/vnd.cncf.helm.config.v1+json" },
		"helm");
	refused(state, &(struct parts){ .layers = "{}" }, "is no digest");
	refused(state, &(struct parts){ .layers = "17" }, "is no digest");
	refused(state, &(struct parts){ .os = "windows" }, "not for linux/amd64");
}

/* Blob and layer are there already, each good for itself; what the image says of them is not. */
static void false_claims(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf other = { 0 }, packed = { 0 };
	_free_ char *ids = NULL, *digest = NULL;
	struct digest diff_id, gzipped;
	struct image_layer l;
	struct layout y;
	unsigned files;

	layout_open(&y);
	layout_image(&y, &(struct parts){ 0 });
	assert_done(store_load(k->s, y.path, NULL));
	tar_file(&other, "other", "text");
	tar_end(&other);
	assert_done(import_image(k->s, "other", &other, 1, &l));
	diff_id = l.diff_id;
	files = count_files(k);

	layout_image(&y, &(struct parts){ .layer_size = 5 });
	assert_err(store_load(k->s, y.path, NULL), -EBADMSG, "its descriptor says 5");
	ids = str_fmt("\"sha256:%s\"", digest_hex(&diff_id).s);
	layout_image(&y, &(struct parts){ .diff_ids = ids, .name = "x" });
	assert_err(store_load(k->s, y.path, NULL), -EBADMSG, "digest mismatch: the layer");
	assert_int_equal(count_files(k), files);

	/* Another blob of the same layer is good, whenever it comes. */
	pack_gzip(&packed, other.data, other.len);
	gzipped = put_blob(&y, packed.data, packed.len);
	digest = str_fmt("sha256:%s", digest_hex(&gzipped).s);
	for (int i = 0; i < 2; i++) {
		layout_image(&y, &(struct parts){ .layer_digest = digest,
						  .layer_size = (long long)packed.len,
						  .layer_type = MEDIA_LAYER_GZIP,
						  .diff_ids = ids,
						  .name = i ? "y" : "x" });
		assert_done(store_load(k->s, y.path, NULL));
	}
	assert_sound(k->s);
	temp_close(y.path, y.fd);
}

/* A blob over the bound is refused by what its descriptor says. */
static void large_blob(void **state)
{
	struct kit *k = *state;
	struct layout y;

	assert_done(store_set_bounds(k->s, "bytes=2k"));
	layout_open(&y);
	layout_image(&y, &(struct parts){ .layer_size = 2049 });
	assert_err(store_load(k->s, y.path, NULL), -EFBIG, "a blob of 2049 bytes");
	assert_int_equal(count_files(k), 0);
	layout_image(&y, &(struct parts){ 0 });
	assert_done(store_load(k->s, y.path, NULL));
	temp_close(y.path, y.fd);
}

/* Documents that are two things at once, too large, or lead into themselves. */
static void hostile_documents(void **state)
{
	struct kit *k = *state;
	_free_ char *text = NULL, *both = NULL, *index = NULL;
	struct layout y;
	struct digest d;
	size_t len;

	refused(state, &(struct parts){ .manifest_size = 100 << 20 },
		"a document of 104857600 bytes");
	layout_open(&y);
	/* An index that is a manifest too, and the other way round. */
	both = strdup("{\"schemaVersion\":2,\"manifests\":[],\"layers\":[],\"config\":{}}");
	d = put_blob(&y, both, strlen(both));
	for (int i = 0; i < 2; i++) {
		_free_ char *outer = str_fmt(
			"{\"schemaVersion\":2,"
			"\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.%s.v1+json\","
			"\"digest\":\"sha256:%s\",\"size\":%zu}]}",
			i ? "index" : "manifest", digest_hex(&d).s, strlen(both));

		temp_file(y.fd, "index.json", outer);
		assert_err(store_load(k->s, y.path, NULL), -EBADMSG, "in one");
	}
	/* By its own word something else than its descriptor says. */
	free(both);
	both = strdup("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_INDEX
		      "\",\"layers\":[],\"config\":{}}");
	d = put_blob(&y, both, strlen(both));
	text = str_fmt("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" MEDIA_MANIFEST "\","
		       "\"digest\":\"sha256:%s\",\"size\":%zu}]}",
		       digest_hex(&d).s, strlen(both));
	temp_file(y.fd, "index.json", text);
	assert_err(store_load(k->s, y.path, NULL), -EBADMSG, "no image manifest");
	/* A digest cannot hold itself, so a cycle is a long chain. */
	index = strdup("{\"schemaVersion\":2,\"manifests\":[]}");
	for (int i = 0; i < 10; i++) {
		len = strlen(index);
		d = put_blob(&y, index, len);
		free(index);
		index = str_fmt("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" MEDIA_INDEX
				"\",\"digest\":\"sha256:%s\",\"size\":%zu}]}",
				digest_hex(&d).s, len);
	}
	temp_file(y.fd, "index.json", index);
	assert_err(store_load(k->s, y.path, NULL), -EBADMSG, "indexes in one another");
	assert_int_equal(count_files(k), 0);
	temp_close(y.path, y.fd);
}

static void hostile_name(void **state)
{
	struct kit *k = *state;
	struct layout y;

	layout_open(&y);
	layout_image(&y, &(struct parts){ .name = "../../x" });
	assert_err(store_load(k->s, y.path, NULL), -EINVAL, "no name for an image");
	assert_int_equal(count_files(k), 0);
	temp_close(y.path, y.fd);
}

static void no_layout(void **state)
{
	struct kit *k = *state;
	struct layout y;

	layout_open(&y);
	assert_err(store_load(k->s, y.path, NULL), -EBADMSG, "no index.json");
	temp_file(y.fd, "index.json", "{\"schemaVersion\":2,\"manifests\":[]}");
	assert_err(store_load(k->s, y.path, NULL), -ENOENT, "no image for linux/amd64");
	temp_file(y.fd, "index.json", "{\"manifests\":[{\"mediaType\":\"text/plain\"}]}");
	assert_err(store_load(k->s, y.path, NULL), -EBADMSG, "\"text/plain\" is not one of images");
	temp_file(y.fd, "index.json", "[");
	assert_err(store_load(k->s, y.path, NULL), -EBADMSG, "index.json");
	assert_ok(unlinkat(y.fd, "oci-layout", 0));
	assert_err(store_load(k->s, y.path, NULL), -EBADMSG, "no oci-layout");
	assert_err(store_load(k->s, "/nonexistent", NULL), -ENOENT, "/nonexistent");
	temp_close(y.path, y.fd);
}

static void symlinked_blob(void **state)
{
	struct kit *k = *state;
	_free_ char *name = NULL;
	struct layout y;

	layout_open(&y);
	layout_image(&y, &(struct parts){ 0 });
	name = str_fmt("blobs/sha256/%s", digest_hex(&y.blob).s);
	assert_ok(unlinkat(y.fd, name, 0));
	assert_ok(symlinkat("/etc/passwd", y.fd, name));
	assert_int_equal(store_load(k->s, y.path, NULL), -ELOOP);
	err_clear();
	assert_ok(unlinkat(y.fd, name, 0));
	assert_ok(mkfifoat(y.fd, name, 0644));
	assert_err(store_load(k->s, y.path, NULL), -EBADMSG, "no file");
	temp_close(y.path, y.fd);
}

/* An index for several platforms: the one for this machine is taken. */
static void platforms(void **state)
{
	struct kit *k = *state;
	_free_ char *inner = NULL, *outer = NULL, *text = NULL, *entry = NULL;
	struct layout y;
	struct digest d;
	size_t len;

	layout_open(&y);
	layout_image(&y, &(struct parts){ 0 });
	assert_ok(file_read_all(y.fd, "index.json", 4096, &text, &len));
	entry = strdup(strstr(text, "[{") + 2);
	entry[strlen(entry) - 3] = '\0';
	inner = str_fmt(
		"{\"schemaVersion\":2,"
		"\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"digest\":\"sha256:%064d\",\"size\":1,\"platform\":{\"os\":\"linux\","
		"\"architecture\":\"arm64\"}},"
		"{\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"},%s}]}",
		0, entry);
	d = put_blob(&y, inner, strlen(inner));
	outer = str_fmt("{\"schemaVersion\":2,"
			"\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
			"\"digest\":\"sha256:%s\",\"size\":%zu,"
			"\"annotations\":{\"org.opencontainers.image.ref.name\":\"12\","
			"\"io.containerd.image.name\":\"docker.io/library/debian:12\"}}]}",
			digest_hex(&d).s, strlen(inner));
	temp_file(y.fd, "index.json", outer);
	assert_done(store_load(k->s, y.path, NULL));
	assert_done(image_remove(k->s, "debian:12"));
	temp_close(y.path, y.fd);
}

/* ---- docker's old form ---- */

static void make_docker(const char *path, const char *os, const char *layer)
{
	_buf_done_ struct buf tar = { 0 }, archive = { 0 };
	_free_ char *config = NULL, *manifest = NULL;
	_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct digest d;

	tar_file(&tar, "file", "text");
	tar_end(&tar);
	d = sha256_of(tar.data, tar.len);
	config = str_fmt("{ \"os\": \"%s\", \"rootfs\": {\"diff_ids\": [\"sha256:%s\"]}}", os,
			 digest_hex(&d).s);
	manifest = str_fmt(
		"[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\",\"b\"],\"Layers\":[\"%s\"]}]",
		layer);
	tar_dir(&archive, "x/");
	tar_add(&archive, '0', "x/layer.tar", "", tar.data, tar.len);
	tar_add(&archive, '0', "c.json", "", config, strlen(config));
	tar_add(&archive, '0', "repositories", "", "{}", 2);
	tar_add(&archive, '0', "manifest.json", "", manifest, strlen(manifest));
	tar_end(&archive);
	assert_true(fd >= 0);
	assert_ok(fd_write_full(fd, archive.data, archive.len));
}

static void docker_archive(void **state)
{
	struct kit *k = *state;
	_free_ char *path = str_fmt("%s.docker", k->root);
	struct digest id;
	struct image *i;

	make_docker(path, "linux", "y/layer.tar");
	assert_err(store_load(k->s, path, NULL), -EBADMSG, "\"y/layer.tar\" is not in");
	make_docker(path, "plan9", "x/layer.tar");
	assert_err(store_load(k->s, path, NULL), -EBADMSG, "not for linux/amd64");
	assert_int_equal(count_files(k), 0);
	make_docker(path, "linux", "x/layer.tar");
	assert_done(store_load(k->s, path, NULL));
	assert_int_equal(count_images(k->s), 2);
	assert_done(image_open(k->s, "a:1", &i));
	id = i->config_digest; /* the config is as it came */
	image_close(i);
	assert_done(image_open(k->s, digest_hex(&id).s, &i));
	image_close(i);
	assert_sound(k->s);
	assert_done(image_remove(k->s, "a:1"));
	assert_done(image_remove(k->s, "b"));
	assert_int_equal(count_files(k), 0);
	assert_ok(unlink(path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(folder),	  kit_test(archive),	    kit_test(save_errors),
		kit_test(plain_layer),	  kit_test(hostile),	    kit_test(false_claims),
		kit_test(large_blob),	  kit_test(hostile_name),   kit_test(hostile_documents),
		kit_test(no_layout),	  kit_test(symlinked_blob), kit_test(platforms),
		kit_test(docker_archive),
	};

	return run_units(tests);
}
