/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/imagestore/kit.h"

static void good(_unused_ void **state)
{
	static const char *const names[][2] = {
		{ "debian", "debian:latest" },
		{ "debian:12", "debian:12" },
		{ "library/debian", "debian:latest" },
		{ "docker.io/debian", "debian:latest" },
		{ "docker.io/library/debian:12-slim", "debian:12-slim" },
		{ "index.docker.io/library/debian", "debian:latest" },
		{ "docker.io/me/x", "me/x:latest" },
		{ "docker.io:443/me/x", "me/x:latest" },
		{ "registry-1.docker.io/library/debian:12", "debian:12" },
		{ "Registry-1.Docker.IO:443/me/x", "me/x:latest" },
		{ "registry.hub.docker.com/me/x", "me/x:latest" },
		{ "docker.io:5000/me/x", "docker.io:5000/me/x:latest" },
		{ "index.docker.io/localhost/x", "index.docker.io/localhost/x:latest" },
		{ "docker.io.example/x", "docker.io.example/x:latest" },
		{ "docker.io/library/a/b", "library/a/b:latest" },
		{ "docker.io/localhost/x", "docker.io/localhost/x:latest" },
		{ "docker.io/h.x/y", "docker.io/h.x/y:latest" },
		{ "h.x/library/y", "h.x/library/y:latest" },
		{ "localhost/x", "localhost/x:latest" },
		{ "localhost:5000/a/b:T_1.x-y", "localhost:5000/a/b:T_1.x-y" },
		{ "Host.Example/x", "Host.Example/x:latest" },
		{ "[2001:db8::1]:443/x", "[2001:db8::1]:443/x:latest" },
		{ "a__b/c.d/e---f", "a__b/c.d/e---f:latest" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_free_ char *full = NULL;

		assert_done(image_name_canonical(names[i][0], &full));
		assert_string_equal(full, names[i][1]);
	}
}

static void bad(_unused_ void **state)
{
	static const char *const names[] = {
		"",
		"Debian",
		"debian:",
		"debian:a/b",
		"debian:-x",
		":tag",
		"/x",
		"x/",
		"a//b",
		"a..b",
		"-a",
		"a-",
		"_a",
		"a___b",
		"a b",
		"a\nb",
		"../etc",
		"a/../b",
		"x.y:port/z",
		"x:5000x/z",
		"a_-b",
		"debian@sha256:00",
		"h-.x/y",
		"\xff",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	};
	char *full = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_err(image_name_canonical(names[i], &full), -EINVAL, "no name for an image");
	assert_null(full);
}

static void lengths(_unused_ void **state)
{
	char name[400] = { 0 }, *full = NULL;

	memset(name, 'a', 255);
	assert_ok(image_name_canonical(name, &full));
	free(full);
	name[255] = 'a';
	assert_err(image_name_canonical(name, &full), -EINVAL, "255");
	memset(name, 0, sizeof(name));
	memset(name, 't', 130);
	name[1] = ':';
	assert_ok(image_name_canonical(name, &full));
	free(full);
	name[130] = 't';
	assert_err(image_name_canonical(name, &full), -EINVAL, "tag");
}

static void chain_ids(_unused_ void **state)
{
	struct digest a = sha256_of("a", 1), b = sha256_of("b", 1), ids[] = { a, b }, got, want;
	char text[160];

	got = image_chain_id(ids, 1);
	assert_true(digest_eq(&got, &a));
	snprintf(text, sizeof(text), "sha256:%s sha256:%s", digest_hex(&a).s, digest_hex(&b).s);
	want = sha256_of(text, strlen(text));
	got = image_chain_id(ids, 2);
	assert_true(digest_eq(&got, &want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(lengths),
		cmocka_unit_test(chain_ids),
	};

	return run_units(tests);
}
