/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/json.h"
#include "builder/builder.h"
#include "builder/config.h"
#include "tests/builder/tree.h"

/* A config of an image as JSON, changed; what its inner object then is. */
static void assert_changes(const char *inner, const char *instruction, const char *expected)
{
	_json_ json_t *image = config_new();
	_free_ char *text = NULL;
	json_t *old;
	int r;

	assert_ok(json_parse(inner, strlen(inner), "test", &old));
	json_object_set_new(image, "config", old);
	r = build_change(image, instruction);
	if (r < 0)
		fail_msg("%s", err_take(r));
	text = json_text(json_get_object(image, "config"), NULL);
	assert_string_equal(text, expected);
}

static void assert_refused(const char *instruction, const char *why)
{
	_json_ json_t *image = config_new();
	int r = build_change(image, instruction);
	const char *said;

	assert_int_equal(r, -EINVAL);
	said = err_take(r);
	if (!strstr(said, why))
		fail_msg("'%s' has no '%s'", said, why);
}

static void commands(_unused_ void **state)
{
	assert_changes("{}", "CMD [\"a\", \"b c\"]", "{\"Cmd\":[\"a\",\"b c\"]}");
	assert_changes("{}", "CMD a \"b\" $c", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"a \\\"b\\\" $c\"]}");
	assert_changes("{\"Shell\":[\"/bin/bash\",\"-ec\"]}", "CMD a",
		       "{\"Cmd\":[\"/bin/bash\",\"-ec\",\"a\"],\"Shell\":[\"/bin/bash\",\"-ec\"]}");
	assert_changes("{\"Cmd\":[\"x\"]}", "entrypoint [\"a\"]", "{\"Entrypoint\":[\"a\"]}");
	assert_changes("{\"Cmd\":[\"x\"]}", "CMD []", "{\"Cmd\":[]}");
}

static void variables(_unused_ void **state)
{
	assert_changes("{\"Env\":[\"A=1\",\"B=2\"]}", "ENV A=3 C=$A D=\"x $B\" E='$B' F=a\\ b",
		       "{\"Env\":[\"A=3\",\"B=2\",\"C=1\",\"D=x 2\",\"E=$B\",\"F=a b\"]}");
	assert_changes("{}", "ENV A two words = x", "{\"Env\":[\"A=two words = x\"]}");
	assert_changes("{\"Env\":null}", "ENV A=", "{\"Env\":[\"A=\"]}");
	assert_changes("{\"Labels\":{\"a\":\"1\"}}", "LABEL a=2 \"b c\"=\"d=e\"",
		       "{\"Labels\":{\"a\":\"2\",\"b c\":\"d=e\"}}");
	assert_refused("ENV A", "no value");
	assert_refused("ENV A=1 B", "'B' is not NAME=VALUE");
	assert_refused("ENV =1", "name is missing");
	assert_refused("ENV A='x", "quote");
}

static void sets(_unused_ void **state)
{
	assert_changes(
		"{\"ExposedPorts\":{\"1/tcp\":{}}}", "EXPOSE 80 53/UDP 7000-7001/sctp",
		"{\"ExposedPorts\":{\"1/tcp\":{},\"53/udp\":{},\"7000/sctp\":{},\"7001/sctp\":{},"
		"\"80/tcp\":{}}}");
	assert_changes("{}", "VOLUME [\"/a b\"]", "{\"Volumes\":{\"/a b\":{}}}");
	assert_changes("{}", "VOLUME /a /b", "{\"Volumes\":{\"/a\":{},\"/b\":{}}}");
	assert_refused("EXPOSE x", "no port");
	assert_refused("EXPOSE 0", "no port");
	assert_refused("EXPOSE 65536", "no port");
	assert_refused("EXPOSE 9-8", "no port");
	assert_refused("EXPOSE 80/icmp", "icmp");
	assert_refused("VOLUME []", "path");
}

static void words(_unused_ void **state)
{
	assert_changes("{}", "USER \"a:b\"", "{\"User\":\"a:b\"}");
	assert_changes("{}", "STOPSIGNAL SIGINT", "{\"StopSignal\":\"SIGINT\"}");
	assert_changes("{\"WorkingDir\":\"/a\"}", "WORKDIR b/../c", "{\"WorkingDir\":\"/a/c\"}");
	assert_changes("{\"WorkingDir\":\"/a\"}", "WORKDIR /", "{\"WorkingDir\":\"/\"}");
	assert_changes("{\"WorkingDir\":\"/a\"}", "WORKDIR ../../b", "{\"WorkingDir\":\"/b\"}");
	assert_changes("{\"Env\":[\"D=/x\"]}", "WORKDIR $D/y",
		       "{\"Env\":[\"D=/x\"],\"WorkingDir\":\"/x/y\"}");
	assert_refused("USER \"\"", "empty");
	assert_refused("USER $none", "empty");
}

static void others_are_refused(_unused_ void **state)
{
	static const char *const bad[] = {
		"RUN x",	 "COPY a b",	     "ADD a b",	      "FROM x",	     "ARG x",
		"SHELL [\"x\"]", "HEALTHCHECK NONE", "ONBUILD RUN x", "MAINTAINER x"
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_free_ char *op = strndup(bad[i], strcspn(bad[i], " "));

		assert_refused(bad[i], op);
	}
	assert_refused("CMD", "CMD needs an argument");
	assert_refused("", "");
	assert_refused("CMD a\nCMD b", "one line");
	assert_refused("LABEL a=\xff", "UTF-8");
}

static void other_configs(_unused_ void **state)
{
	_json_ json_t *arm = json_pack("{s:s,s:s}", "os", "linux", "architecture", "arm64"),
		      *empty = json_object(), *odd = json_pack("{s:[]}", "config");

	assert_int_equal(build_change(arm, "USER x"), -ENOEXEC);
	err_clear();
	assert_int_equal(build_change(odd, "USER x"), -EBADMSG);
	err_clear();
	assert_ok(build_change(empty, "USER x"));
	assert_string_equal(config_str(empty, "User"), "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands),
		cmocka_unit_test(variables),
		cmocka_unit_test(sets),
		cmocka_unit_test(words),
		cmocka_unit_test(others_are_refused),
		cmocka_unit_test(other_configs),
	};

	return run_units(tests);
}
