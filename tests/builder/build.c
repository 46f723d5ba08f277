/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/builder/fake.h"
#include <archive.h>
#include <archive_entry.h>

static size_t layers(const struct fake *f)
{
	return json_array_size(json_get_array(json_get_object(f->config, "rootfs"), "diff_ids"));
}

static void steps_make_layers_and_config(void **state)
{
	struct fake *f = *state;
	const json_t *history, *run;
	_free_ char *text = NULL;

	tree_file(f->context, "file", "data");
	assert_built(f, "FROM base\n"
			"ENV A=1 B=\"two words\"\n"
			"RUN write made 1\n"
			"COPY file dir/\n"
			"WORKDIR /dir\n"
			"WORKDIR sub\n"
			"USER 1:2\n"
			"CMD [\"x\", \"y\"]\n");
	assert_int_equal(layers(f), 3); /* /dir was there */
	assert_root_file(f, "dir/file", "data");
	assert_root_file(f, "made", "1");
	history = json_get_array(f->config, "history");
	assert_int_equal(json_array_size(history), 7);
	run = json_array_get(history, 1);
	assert_string_equal(json_get_str(run, "created_by"), "/bin/sh -c write made 1");
	assert_string_equal(json_get_str(run, "created"), "2001-09-09T01:46:40.000000000Z");
	assert_int_equal(json_get_bool(run, "empty_layer", 0), 0);
	assert_int_equal(json_get_bool(json_array_get(history, 0), "empty_layer", 0), 1);
	assert_int_equal(json_get_bool(json_array_get(history, 3), "empty_layer", 0), 1);
	assert_string_equal(json_get_str(json_array_get(history, 2), "created_by"),
			    "COPY file dir/");
	text = json_text(json_get_object(f->config, "config"), NULL);
	assert_string_equal(
		text, "{\"Cmd\":[\"x\",\"y\"],\"Env\":[\"A=1\",\"B=two words\"],\"User\":\"1:2\","
		      "\"WorkingDir\":\"/dir/sub\"}");
	assert_string_equal(f->lines[2], "STEP 3/8: RUN write made 1");
}

/* ---- stages ---- */

static void stages(void **state)
{
	struct fake *f = *state;

	assert_built(f, "FROM base AS One\n"
			"RUN write a from-one\n"
			"FROM base AS unused\n"
			"RUN exit 1\n"
			"FROM one AS two\n"
			"RUN write b from-two\n"
			"FROM scratch\n"
			"COPY --from=two /a /b /in/\n"
			"COPY --from=0 /a /by-number\n"
			"COPY --from=image . /nothing/\n");
	assert_root_file(f, "in/a", "from-one");
	assert_root_file(f, "in/b", "from-two");
	assert_root_file(f, "by-number", "from-one");
	assert_int_equal(layers(f), 3);
	assert_int_equal(f->nruns, 2);
	assert_true(fake_said(f, "STEP 8/8: COPY --from=image . /nothing/"));
}

static void targets(void **state)
{
	static const char text[] = "FROM base AS a\nRUN write a 1\nFROM base AS b\nRUN exit 1\n";
	struct fake *f = *state;

	f->o.target = "A";
	assert_built(f, text);
	f->o.target = "0";
	assert_built(f, text);
	f->o.target = "c";
	assert_fails(f, text, "Containerfile: ", "no stage 'c'");
	f->o.target = NULL;
	assert_fails(f, text, "Containerfile:4: RUN exit 1: ", "exit code 1");
}

static void a_stage_inherits(void **state)
{
	struct fake *f = *state;

	assert_built(f,
		     "FROM base AS a\nENV A=1\nWORKDIR /w\nSHELL [\"/bin/x\", \"-y\"]\nARG gone=1\n"
		     "FROM a\nRUN write $A$gone x\n");
	assert_string_equal(f->argv[0], "/bin/x");
	assert_string_equal(f->cwd, "/w");
	assert_string_equal(strv_getenv(f->env, "A"), "1");
	assert_null(strv_getenv(f->env, "gone"));
}

/* ---- variables ---- */

static void arguments(void **state)
{
	static const char *const given[] = { "BASE=given", "X=given", "https_proxy=p", "NOBODY=1",
					     NULL };
	struct fake *f = *state;

	f->o.build_args = (char *const *)given;
	assert_built(f, "ARG BASE=default\n"
			"ARG TAG=latest\n"
			"FROM --platform=$BUILDPLATFORM ${BASE}:${TAG}\n"
			"ARG X=default Y=\"$X y\"\n"
			"ARG TAG\n"
			"ARG NONE\n"
			"ARG OVER=arg\n"
			"ARG TARGETARCH\n"
			"ENV OVER=env SEES=$Y\n"
			"RUN exit 0\n");
	assert_string_equal(strv_getenv(f->env, "X"), "given");
	assert_string_equal(strv_getenv(f->env, "Y"), "given y");
	assert_string_equal(strv_getenv(f->env, "TAG"), "latest");
	assert_null(strv_getenv(f->env, "NONE"));
	assert_null(strv_getenv(f->env, "BASE"));
	assert_string_equal(strv_getenv(f->env, "OVER"), "env");
	assert_string_equal(strv_getenv(f->env, "SEES"), "given y");
	assert_string_equal(strv_getenv(f->env, "TARGETARCH"), "amd64");
	assert_string_equal(strv_getenv(f->env, "https_proxy"), "p");
	assert_true(fake_said(f, "--build-arg NOBODY"));
	assert_false(fake_said(f, "--build-arg X"));
	assert_false(fake_said(f, "--build-arg https_proxy"));
	assert_null(config_env(f->config, "X"));
}

/* ---- RUN ---- */

static void run_forms(void **state)
{
	struct fake *f = *state;

	assert_built(f, "FROM base\nRUN [\"/a b\", \"c\"]\n");
	assert_int_equal(strv_len(f->argv), 2);
	assert_string_equal(f->argv[0], "/a b");
	assert_built(f, "FROM base\nUSER me\nRUN <<EOF\nwrite x 1\nEOF\n");
	assert_string_equal(f->argv[2], "write x 1\n");
	assert_string_equal(f->user, "me");
	assert_string_equal(f->cwd, "/");
	assert_root_file(f, "x", "1");
	assert_built(f, "FROM base\nRUN cat <<A <<'B' | sort\n1\nA\n2\nB\n");
	assert_string_equal(f->argv[2], "cat <<A <<'B' | sort\n1\nA\n2\nB");
	assert_built(f, "FROM base\nRUN <<EOF\n#!/usr/bin/python\nprint()\nEOF\n");
	assert_string_equal(f->argv[0], "/.strata-run");
	assert_int_equal(layers(f), 0);
	assert_fails(f, "FROM base\n\nRUN --mount=type=cache,target=/x ls", "Containerfile:3: RUN",
		     "--mount=");
}

/* ---- COPY and ADD ---- */

static void copy_destinations(void **state)
{
	struct fake *f = *state;

	tree_file(f->context, "a", "a");
	tree_file(f->context, "b", "b");
	tree_file(f->context, "sp ace", "s");
	tree_file(f->context, "d/x", "x");
	assert_built(f, "FROM base\n"
			"WORKDIR /w\n"
			"ENV dir=sub name=b\n"
			"COPY a .\n"
			"COPY a file\n"
			"COPY a b $dir/\n"
			"COPY $name ./renamed\n"
			"COPY [\"sp ace\", \"/sp ace/\"]\n"
			"COPY d copied\n"
			"COPY a copied\n"
			"COPY ? /wild/\n"
			"COPY . /all\n"
			"ADD a ../up\n");
	assert_root_file(f, "w/a", "a");
	assert_root_file(f, "w/file", "a");
	assert_root_file(f, "w/sub/b", "b");
	assert_root_file(f, "w/renamed", "b");
	assert_root_file(f, "sp ace/sp ace", "s");
	assert_root_file(f, "w/copied/x", "x");
	assert_root_file(f, "w/copied/a", "a");
	assert_root_file(f, "wild/a", "a");
	assert_root_file(f, "all/d/x", "x");
	assert_root_file(f, "up", "a");
}

static void copy_heredocs(void **state)
{
	struct fake *f = *state;

	tree_file(f->context, "a", "a");
	assert_built(f, "FROM base\n"
			"ENV X=value\n"
			"COPY <<one <<\"two\" a /d/\n"
			"\"$X\" \\$X\n"
			"one\n"
			"$X\n"
			"two\n"
			"COPY --chmod=0750 <<EOF /bin/script\n"
			"text\n"
			"EOF\n");
	assert_root_file(f, "d/one", "\"value\" $X\n");
	assert_root_file(f, "d/two", "$X\n");
	assert_root_file(f, "d/a", "a");
	assert_root_file(f, "bin/script", "text\n");
	_close_ int root = fake_root(f);
	assert_int_equal(tree_stat(root, "bin/script").st_mode & 07777, 0750);
}

static void copy_owners(void **state)
{
	struct fake *f = *state;
	_close_ int root = -1;

	need_root();
	tree_file(f->context, "a", "a");
	assert_ok(fchownat(f->context, "a", 3, 4, 0));
	assert_built(f, "FROM base AS one\n"
			"RUN write etc/passwd u:x:5:6:::\n"
			"RUN write etc/group g:x:7:\n"
			"COPY a /0\n"
			"ARG who=u:g\n"
			"COPY --chown=$who --chmod=4711 a /1\n"
			"COPY --chown=8 a /2\n"
			"FROM base\n"
			"COPY --from=one / /\n"
			"COPY --from=one --chown=9:10 /1 /3\n");
	root = fake_root(f);
	assert_int_equal(tree_stat(root, "0").st_uid, 0);
	assert_int_equal(tree_stat(root, "0").st_gid, 0);
	assert_int_equal(tree_stat(root, "1").st_uid, 5);
	assert_int_equal(tree_stat(root, "1").st_gid, 7);
	assert_int_equal(tree_stat(root, "1").st_mode & 07777, 04711);
	assert_int_equal(tree_stat(root, "2").st_gid, 8);
	assert_int_equal(tree_stat(root, "3").st_uid, 9);
	assert_int_equal(tree_stat(root, "3").st_gid, 10);
}

static void context_is_confined(void **state)
{
	struct fake *f = *state;

	tree_file(f->dir, "secret", "s");
	tree_file(f->context, "d/x", "x");
	assert_ok(symlinkat("../secret", f->context, "out"));
	assert_fails(f, "FROM base\nCOPY ../secret /x",
		     "Containerfile:2: COPY ../secret /x: ", "leads out");
	assert_fails(f, "FROM base\nCOPY out /x",
		     "Containerfile:2: COPY out /x: ", "'out': not there");
	assert_fails(f, "FROM base\nCOPY none /x", "Containerfile:2: ", "'none'");
	tree_file(f->context, ".dockerignore", "d/x\n");
	assert_fails(f, "FROM base\nCOPY d/x /x", "Containerfile:2: ", ".dockerignore");
	/* One of its own goes before it. */
	tree_file(f->context, "Containerfile.dockerignore", "nothing\n");
	assert_built(f, "FROM base\nCOPY d/x /x");
	tree_file(f->context, ".dockerignore", "*\n");
	tree_file(f->context, "Containerfile.dockerignore", "*\n");
	assert_built(f, "FROM base AS a\nRUN write file 1\nFROM base\nCOPY --from=a file /x");
}

static void refusals(void **state)
{
	static const char *const cases[][2] = {
		{ "COPY a", "a source and a destination" },
		{ "COPY a a /d", "must end with '/'" },
		{ "COPY --link a /d", "--link is not supported" },
		{ "ADD --from=x a /d", "--from=x is not supported" },
		{ "ADD https://example.org/x /d", "URLs are not fetched" },
		{ "COPY --chmod=u+x a /d", "octal" },
		{ "COPY --chmod=77777 a /d", "7777" },
		{ "COPY --chown=nobody a /d", "/etc/passwd" },
		{ "COPY --from=missing a /d", "no image 'missing'" },
		{ "FROM missing", "no image 'missing'" },
		{ "FROM --platform=linux/arm64 x", "linux/arm64" },
		{ "FROM a b", "IMAGE [AS NAME]" },
		{ "FROM a AS 1", "no name of a stage" },
		{ "FROM $none", "expands to nothing" },
		{ "ENV x=${x", "brace" },
		{ "SHELL /bin/sh", "JSON" },
		{ "ARG a-b=1", "no name of an argument" },
		{ "WORKDIR $none", "empty" },
		{ "HEALTHCHECK NONE", "HEALTHCHECK" },
		{ "FROBNICATE", "FROBNICATE" },
		{ "LABEL a=\xff", "UTF-8" },
	};
	struct fake *f = *state;

	tree_file(f->context, "a", "a");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_free_ char *text = str_fmt("FROM base\n\n%s\n", cases[i][0]);

		assert_fails(f, text, "Containerfile:3: ", cases[i][1]);
	}
	assert_fails(f, "RUN x\nFROM base", "Containerfile:1: RUN: ", "before the first FROM");
	assert_fails(f, "ARG x=1", "Containerfile: ", "no FROM");
	assert_fails(f, "FROM base AS a\nFROM base AS A", "Containerfile:2: FROM",
		     "a second stage");
	f->image = config_new();
	json_object_set_new(json_get_object(f->image, "config"), "OnBuild",
			    json_pack("[s]", "RUN x"));
	assert_fails(f, "FROM base", "Containerfile:1: FROM base: ", "ONBUILD");
}

/* ---- the cache ---- */

static void cache_hits(void **state)
{
	static const char text[] =
		"FROM base\nENV A=1\nRUN write a 1\nCOPY file /f\nWORKDIR /w\nCMD x\n";
	const struct timespec times[2] = { { .tv_sec = 5 }, { .tv_sec = 5 } };
	struct fake *f = *state;
	_json_ json_t *first = NULL;

	tree_file(f->context, "file", "1");
	assert_built(f, text);
	assert_int_equal(f->begun, 3);
	assert_int_equal(f->asked, 3);
	first = json_incref(f->config);
	assert_ok(utimensat(f->context, "file", times, 0));
	assert_built(f, text);
	assert_int_equal(f->begun, 0);
	assert_int_equal(f->asked, 3);
	assert_true(json_equal(first, f->config));
	assert_string_equal(f->lines[2], "STEP 3/6: RUN write a 1");
	assert_string_equal(f->lines[3], "CACHED");
	f->o.no_cache = true;
	assert_built(f, text);
	assert_int_equal(f->begun, 3);
	assert_int_equal(f->asked, 0);
}

/*
 * Builds "FROM base", then @before; then with @after in its place: how many steps were made anew.
 */
static unsigned made_anew(struct fake *f, const char *before, const char *after)
{
	_free_ char *a = str_fmt("FROM base\n%s\n", before), *b = str_fmt("FROM base\n%s\n", after);

	f->ncache = 0;
	assert_built(f, a);
	assert_built(f, b);
	return f->begun;
}

static void cache_misses(void **state)
{
	struct fake *f = *state;

	tree_file(f->context, "file", "1");
	assert_int_equal(made_anew(f, "RUN a\nRUN b", "RUN a\nRUN b"), 0);
	assert_int_equal(made_anew(f, "RUN a\nRUN b", "RUN a\nRUN c"), 1);
	assert_int_equal(made_anew(f, "RUN a\nRUN b", "RUN c\nRUN b"), 2);
	assert_int_equal(made_anew(f, "RUN a", "RUN [\"/bin/sh\", \"-c\", \"a\"]"), 0);
	assert_int_equal(made_anew(f, "ENV A=1\nRUN a", "ENV A=2\nRUN a"), 1);
	assert_int_equal(made_anew(f, "USER 1\nRUN a", "RUN a"), 1);
	assert_int_equal(made_anew(f, "COPY file /a", "COPY file /b"), 1);
	assert_int_equal(made_anew(f, "COPY file /a", "ADD file /a"), 1);
	assert_int_equal(made_anew(f, "COPY file /a", "COPY --chmod=600 file /a"), 1);
	assert_int_equal(made_anew(f, "COPY <<E /a\n1\nE", "COPY <<E /a\n2\nE"), 1);
	assert_int_equal(made_anew(f, "RUN <<E\n#!/x\n1\nE", "RUN <<E\n#!/x\n2\nE"), 1);
	f->image = config_new();
	json_object_set_new(f->image, "author", json_string("somebody"));
	f->ncache = 0;
	assert_built(f, "FROM base\nRUN a");
	json_object_set_new(f->image, "author", json_string("else"));
	assert_built(f, "FROM base\nRUN a");
	assert_int_equal(f->begun, 1);
}

static void cache_sees_content_and_mode(void **state)
{
	static const char text[] = "FROM base\nCOPY . /f\n";
	struct fake *f = *state;

	tree_file(f->context, "file", "1");
	assert_built(f, text);
	temp_file(f->context, "file", "2");
	assert_built(f, text);
	assert_int_equal(f->begun, 1);
	assert_ok(fchmodat(f->context, "file", 0700, 0));
	assert_built(f, text);
	assert_int_equal(f->begun, 1);
	tree_file(f->context, "new", "");
	assert_built(f, text);
	assert_int_equal(f->begun, 1);
	tree_file(f->context, ".dockerignore", "new\n.dockerignore\n");
	assert_built(f, text);
	assert_int_equal(f->begun, 0); /* what is copied is as it was before */
}

static void cache_sees_arguments(void **state)
{
	static const char text[] = "FROM base\nRUN a\nARG X\nRUN b\nRUN c\n";
	static const char *const one[] = { "X=1", "https_proxy=1", NULL },
				 *const two[] = { "X=2", NULL },
				 *const proxy[] = { "X=2", "https_proxy=2", NULL };
	struct fake *f = *state;

	f->o.build_args = (char *const *)one;
	assert_built(f, text);
	f->o.build_args = (char *const *)two;
	assert_built(f, text);
	assert_int_equal(f->begun, 2); /* not what stands before ARG */
	f->o.build_args = (char *const *)proxy;
	assert_built(f, text);
	assert_int_equal(f->begun, 0);
}

/* A stage that was made anew but came out the same. */
static void cache_sees_through_stages(void **state)
{
	struct fake *f = *state;

	assert_built(f, "FROM base AS a\nRUN write x 1\nFROM base\nCOPY --from=a /x /x\nRUN z\n");
	assert_built(f, "FROM base AS a\nRUN write  x 1\nFROM base\nCOPY --from=a /x /x\nRUN z\n");
	assert_int_equal(f->nruns, 1);
}

/* ---- ADD of a tar ---- */

static void put_tar(struct fake *f, const char *name)
{
	_free_ char *path = str_fmt("%s/context/%s", f->path, name);
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();

	archive_write_add_filter_gzip(a);
	archive_write_set_format_ustar(a);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	archive_entry_copy_pathname(e, "in-tar");
	archive_entry_set_mode(e, S_IFREG | 0644);
	archive_entry_set_uid(e, geteuid());
	archive_entry_set_gid(e, getegid());
	archive_entry_set_size(e, 4);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, "text", 4), 4);
	archive_entry_free(e);
	assert_int_equal(archive_write_free(a), ARCHIVE_OK);
}

static void add_extracts_tars(void **state)
{
	struct fake *f = *state;
	_close_ int root = -1;

	put_tar(f, "any.name");
	assert_ok(mkdirat(f->context, "d", 0755));
	put_tar(f, "d/inner.tar.gz");
	tree_file(f->context, "plain", "plain");
	assert_built(f, "FROM base\n"
			"ADD any.name plain /to/\n"
			"COPY any.name /copied\n"
			"ADD d /d/\n"
			"ADD plain /p\n");
	assert_root_file(f, "to/in-tar", "text");
	assert_root_file(f, "to/plain", "plain");
	assert_root_file(f, "p", "plain");
	root = fake_root(f);
	assert_absent(root, "to/any.name");
	assert_absent(root, "d/in-tar");
	assert_true(S_ISREG(tree_stat(root, "copied").st_mode));
	assert_true(S_ISREG(tree_stat(root, "d/inner.tar.gz").st_mode));
}

int main(void)
{
#define unit(fn) cmocka_unit_test_setup_teardown(fn, fake_open, fake_close)
	const struct CMUnitTest tests[] = {
		unit(steps_make_layers_and_config),
		unit(stages),
		unit(targets),
		unit(a_stage_inherits),
		unit(arguments),
		unit(run_forms),
		unit(copy_destinations),
		unit(copy_heredocs),
		unit(copy_owners),
		unit(context_is_confined),
		unit(refusals),
		unit(cache_hits),
		unit(cache_misses),
		unit(cache_sees_content_and_mode),
		unit(cache_sees_arguments),
		unit(cache_sees_through_stages),
		unit(add_extracts_tars),
	};

	if (geteuid() != 0) {
		printf("1..0 # SKIP only root owns what COPY makes\n");
		return 0;
	}
	return run_units(tests);
}
