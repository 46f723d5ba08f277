/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "tests/base/unit.h"

static void prints(_unused_ void **state)
{
	assert_string_equal(clock_text((struct timespec){ 0, 0 }).s,
			    "1970-01-01T00:00:00.000000000Z");
	assert_string_equal(clock_text((struct timespec){ -1, 999999999 }).s,
			    "1969-12-31T23:59:59.999999999Z");
	assert_string_equal(clock_text((struct timespec){ 1795514003, 123456789 }).s,
			    "2026-11-24T09:53:23.123456789Z");
	assert_string_equal(clock_text((struct timespec){ 951782400, 0 }).s,
			    "2000-02-29T00:00:00.000000000Z");
	assert_string_equal(clock_text((struct timespec){ INT64_MAX, 0 }).s,
			    "9999-12-31T23:59:59.000000000Z");
	assert_string_equal(clock_text((struct timespec){ INT64_MIN, 0 }).s,
			    "0000-01-01T00:00:00.000000000Z");
}

static void parses(_unused_ void **state)
{
	static const struct {
		const char *text;
		int64_t s;
		long ns;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0, 0 },
		{ "2026-11-24T09:53:23.123456789Z", 1795514003, 123456789 },
		{ "2026-11-24T10:53:23.5+01:00", 1795514003, 500000000 },
		{ "2026-11-23T22:23:23-11:30", 1795514003, 0 },
		{ "2026-11-24t09:53:23.1234567899z", 1795514003, 123456789 },
		{ "0001-01-01T00:00:00Z", -62135596800, 0 }, /* what Go writes for no time */
		{ "2016-12-31T23:59:60Z", 1483228800, 0 },   /* a leap second */
		{ "2000-02-29T00:00:00Z", 951782400, 0 },
		{ "9999-12-31T23:59:59Z", 253402300799, 0 },
	};
	static const char *const bad[] = {
		"",
		"2026",
		"2026-11-24",
		"2026-11-24T09:53:23",
		"2026-11-24 09:53:23Z",
		"2026-11-24T09:53:23Zx",
		"2026-11-24T09:53:23.Z",
		"2026-11-24T24:00:00Z",
		"2026-11-24T23:60:00Z",
		"2026-11-24T23:59:61Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2026-04-31T00:00:00Z",
		"2026-04-00T00:00:00Z",
		"2026-11-24T09:53:23+0100",
		"2026-11-24T09:53:23+24:00",
		"2026-11-24T09:53:23+01:60",
		"+026-11-24T09:53:23Z",
		"2026-1-24T09:53:23Z",
	};
	struct timespec t = { 7, 7 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(clock_parse(bad[i], &t), -EINVAL);
	assert_int_equal(t.tv_sec, 7);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_ok(clock_parse(good[i].text, &t));
		assert_true(t.tv_sec == good[i].s);
		assert_int_equal(t.tv_nsec, good[i].ns);
	}
}

/* Against the C library, over 800 years in odd steps. */
static void agrees_with_libc(_unused_ void **state)
{
	for (int64_t s = -12000000000; s < 13000000000; s += 86399 * 11 + 7) {
		struct timespec t = { .tv_sec = s }, back;
		struct clock_text text = clock_text(t);
		char expected[32];
		struct tm tm;

		gmtime_r(&t.tv_sec, &tm);
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000000000Z", &tm);
		assert_string_equal(text.s, expected);
		assert_ok(clock_parse(text.s, &back));
		assert_true(back.tv_sec == s);
	}
}

static void now(_unused_ void **state)
{
	uint64_t before = clock_ns();
	struct clock_text text = clock_now_text();
	struct timespec t;

	assert_int_equal(strlen(text.s), 30);
	assert_ok(clock_parse(text.s, &t));
	assert_true(t.tv_sec <= time(NULL) && t.tv_sec > time(NULL) - 60);
	assert_true(clock_ns() >= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints),
		cmocka_unit_test(parses),
		cmocka_unit_test(agrees_with_libc),
		cmocka_unit_test(now),
	};

	return run_units(tests);
}
