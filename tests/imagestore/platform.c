/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms: how they are said, which of an index is taken, what a message offers. */
#include "imagestore/platform.h"
#include "tests/imagestore/kit.h"

static void names(_unused_ void **state)
{
	static const struct {
		const char *said, *means; /* NULL: refused */
	} cases[] = {
		{ "linux/amd64", "linux/amd64" },
		{ "linux/arm/v7", "linux/arm/v7" },
		{ "linux/x86_64", "linux/amd64" },
		{ "aarch64", "linux/arm64" },
		{ "linux", "linux/amd64" },
		{ "linux/armhf", "linux/arm/v7" },
		{ "linux/armel/v5", "linux/arm/v5" },
		{ "linux/arm64/8", "linux/arm64/v8" },
		{ "windows/amd64", "windows/amd64" },
		{ "riscv64", "linux/riscv64" },
		{ "", NULL },
		{ "linux/", NULL },
		{ "/amd64", NULL },
		{ "linux/arm/", NULL },
		{ "linux/arm/v7/x", NULL },
		{ "linux/AMD64", NULL },
		{ "linux/../etc", NULL },
		{ "linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL },
	};
	struct platform p;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!cases[i].means) {
			assert_err(platform_parse(cases[i].said, &p), -EINVAL, "OS/ARCH");
			continue;
		}
		assert_done(platform_parse(cases[i].said, &p));
		assert_string_equal(platform_text(&p).s, cases[i].means);
	}
}

static json_t *index_of(const char *const *list, size_t n)
{
	json_t *entries = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *entry = json_pack("{s:i}", "number", (int)i);
		char os[64] = "", arch[64] = "", variant[64] = "";
		json_t *p = json_object();

		sscanf(list[i], "%63[^/]/%63[^/]/%63s", os, arch, variant);
		if (*os)
			json_object_set_new(p, "os", json_string(os));
		if (*arch)
			json_object_set_new(p, "architecture", json_string(arch));
		if (*variant)
			json_object_set_new(p, "variant", json_string(variant));
		json_object_set_new(entry, "platform", p);
		json_array_append_new(entries, entry);
	}
	return entries;
}

static void chosen(const char *want, const char *const *list, size_t n, int expected)
{
	_json_ json_t *entries = index_of(list, n);
	const json_t *entry;
	struct platform p;

	assert_done(platform_parse(want, &p));
	entry = platform_choose(entries, &p);
	assert_int_equal(entry ? json_get_int(entry, "number", -2) : -1, expected);
}

static void choice(_unused_ void **state)
{
	static const char *const list[] = { "linux/arm/v5",   "linux/arm/v7",	"linux/arm/v6",
					    "linux/amd64/v3", "linux/amd64",	"linux/arm64/v8",
					    "windows/amd64",  "unknown/unknown" };
	static const char *const silent[] = { "", "linux/arm64", "linux/amd64" };
	size_t n = ARRAY_SIZE(list);

	chosen("linux/amd64", list, n, 4);
	chosen("linux/amd64/v3", list, n, 3);
	chosen("linux/amd64/v2", list, n, 4);
	chosen("linux/arm", list, n, 1);
	chosen("linux/arm/v6", list, n, 2);
	chosen("linux/arm/v8", list, n, 1);
	chosen("linux/arm64", list, n, 5);
	chosen("linux/arm64/v9", list, n, 5);
	chosen("windows/amd64", list, n, 6);
	chosen("linux/riscv64", list, n, -1);
	chosen("linux/amd64", silent, 3, 2);
	chosen("linux/amd64", silent, 2, 0);
	chosen("linux/amd64", list, 4, -1); /* v3 alone is not for every amd64 */
}

static void offers(_unused_ void **state)
{
	static const char *const list[] = { "linux/arm/v5", "unknown/unknown", "a\x1b[31m/b",
					    "linux/a",	    "linux/b",	       "linux/c",
					    "linux/d",	    "linux/e",	       "linux/f",
					    "linux/g" };
	_json_ json_t *entries = index_of(list, ARRAY_SIZE(list)), *none = json_array();

	assert_string_equal(platform_offers(entries).s,
			    "linux/arm/v5, a\\x1b[31m/b, linux/a, linux/b, linux/c, linux/d, "
			    "linux/e, linux/f and 1 more");
	assert_string_equal(platform_offers(none).s, "none by name");
}

static void configs(_unused_ void **state)
{
	_json_ json_t *arm = json_pack("{s:s, s:s}", "os", "linux", "architecture", "arm");
	_json_ json_t *nothing = json_object();
	struct platform p;

	assert_done(platform_parse("linux/arm/v6", &p));
	assert_done(platform_check_config(&p, arm, "x"));
	assert_done(platform_check_config(&p, nothing, "x"));
	json_object_set_new(arm, "variant", json_string("v7"));
	assert_err(platform_check_config(&p, arm, "x"), -EBADMSG, "for linux/arm/v7, not for");
	/* What is too long to be a name of one. */
	json_object_set_new(arm, "architecture", json_string("armarmarmarmarmarmarmarmarmarm"));
	assert_err(platform_check_config(&p, arm, "x"), -EBADMSG, "for unknown/unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(choice),
		cmocka_unit_test(offers),
		cmocka_unit_test(configs),
	};

	return run_units(tests);
}
