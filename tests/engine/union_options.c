/* SPDX-License-Identifier: Apache-2.0 */
/* strata-unionfs' options: what they say, their escapes, and what is refused. */
#include "engine/union_options.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mount.h>

#include <cmocka.h>

#define PLACE "l,upperdir=u,workdir=w"

static struct union_options o;

static int end(void **state)
{
	(void)state;
	union_options_done(&o);
	err_clear();
	return 0;
}

/* Of "strata-unionfs -o TEXT m". */
static int parse(const char *text)
{
	char *argv[] = { (char[]){ "strata-unionfs" }, (char[]){ "-o" }, strdup(text),
			 (char[]){ "m" }, NULL };
	int e;

	union_options_done(&o);
	err_clear();
	e = union_options_parse(4, argv, &o);
	free(argv[2]);
	return e;
}

static void refused(const char *text, const char *why)
{
	const char *said;

	assert_int_equal(parse(text), -EINVAL);
	said = err_take(-EINVAL);
	if (!strstr(said, why))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, said, why);
	assert_null(strchr(said, '\n'));
}

static void paths(void **state)
{
	(void)state;
	assert_int_equal(parse("lowerdir=/a:b/c:d,upperdir=/u,workdir=w"), 0);
	assert_int_equal(strv_len(o.lowers), 3);
	assert_string_equal(o.lowers[0], "/a");
	assert_string_equal(o.lowers[1], "b/c");
	assert_string_equal(o.lowers[2], "d");
	assert_string_equal(o.upper, "/u");
	assert_string_equal(o.work, "w");
	assert_string_equal(o.mountpoint, "m");
	assert_int_equal(parse("lowerdir=a"), 0);
	assert_null(o.upper);
	/* The last counts; empty options are none. */
	assert_int_equal(parse(",lowerdir=a,,lowerdir=b:c,,"), 0);
	assert_int_equal(strv_len(o.lowers), 2);
	assert_string_equal(o.lowers[0], "b");
	assert_int_equal(parse("lowerdir+=a:b,lowerdir+=c"), 0);
	assert_int_equal(strv_len(o.lowers), 2);
	assert_string_equal(o.lowers[0], "a:b");
}

static void escapes(void **state)
{
	(void)state;
	assert_int_equal(parse("lowerdir=a\\:b:c\\\\d:e\\,f:g\\:,upperdir=u\\,\\:x,workdir=w=\\\\"),
			 0);
	assert_int_equal(strv_len(o.lowers), 4);
	assert_string_equal(o.lowers[0], "a:b");
	assert_string_equal(o.lowers[1], "c\\d");
	assert_string_equal(o.lowers[2], "e,f");
	assert_string_equal(o.lowers[3], "g:");
	assert_string_equal(o.upper, "u,:x");
	assert_string_equal(o.work, "w=\\");
	/* A backslash at the very end is one. */
	assert_int_equal(parse("lowerdir=a\\"), 0);
	assert_string_equal(o.lowers[0], "a\\");
	assert_int_equal(parse("lowerdir=\"a\",ro"), 0);
	assert_string_equal(o.lowers[0], "\"a\"");
	assert_true(o.rdonly);
}

static void labels(void **state)
{
	(void)state;
	assert_int_equal(parse("context=\"system_u:object_r:container_file_t:s0:c1,c2\",lowerdir=a,"
			       "fscontext=u:r:t:s0"),
			 0);
	assert_string_equal(o.context[0], "context=system_u:object_r:container_file_t:s0:c1,c2");
	assert_string_equal(o.context[1], "fscontext=u:r:t:s0");
	assert_string_equal(o.lowers[0], "a");
}

static void many_lowers(void **state)
{
	char text[4096] = "lowerdir=l";

	(void)state;
	for (size_t i = 1; i < UNION_LOWERS_MAX; i++)
		memcpy(text + 10 + (i - 1) * 2, ":l", 3);
	assert_int_equal(parse(text), 0);
	assert_int_equal(strv_len(o.lowers), UNION_LOWERS_MAX);
	memcpy(text + strlen(text), ":l", 3);
	refused(text, "more than 500");
}

static void switches(void **state)
{
	(void)state;
	assert_int_equal(parse("lowerdir=" PLACE), 0);
	assert_false(o.metacopy || o.is_volatile || o.noacl || o.userxattr || o.rdonly);
	assert_int_equal(o.redirect, UFS_REDIRECT_FOLLOW);
	assert_int_equal(
		parse("lowerdir=" PLACE ",metacopy=on,redirect_dir=on,volatile,userxattr,noacl,"
		      "static_nlink,xino=auto,index=off,xattr_permissions=0,threaded=1,fast_ino=1,"
		      "rw,suid,dev,exec,relatime,default_permissions,x-anything,_netdev"),
		0);
	assert_true(o.metacopy && o.is_volatile && o.noacl && o.userxattr && o.static_nlink);
	assert_int_equal(o.redirect, UFS_REDIRECT_ON);
	assert_int_equal(o.attrs, 0);
	assert_int_equal(parse("lowerdir=l,redirect_dir=nofollow,nodev,nosuid,noexec,noatime,exec,"
			       "fsync=0,threaded=0,ro,rw"),
			 0);
	assert_int_equal(o.redirect, UFS_REDIRECT_NOFOLLOW);
	assert_int_equal(o.attrs, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME);
	assert_true(o.is_volatile && o.single);
	assert_false(o.rdonly);
}

static void times(void **state)
{
	(void)state;
	assert_int_equal(parse("lowerdir=l"), 0);
	assert_false(o.has_timeout);
	assert_int_equal(parse("lowerdir=l,timeout=2.5"), 0);
	assert_true(o.has_timeout);
	assert_int_equal(o.timeout.tv_sec, 2);
	assert_int_equal(o.timeout.tv_nsec, 500000000);
	assert_int_equal(parse("lowerdir=l,timeout=0"), 0);
	assert_true(o.has_timeout);
	assert_int_equal(parse("lowerdir=l,timeout=1000000000"), 0);
	refused("lowerdir=l,timeout=", "timeout");
	refused("lowerdir=l,timeout=-1", "timeout");
	refused("lowerdir=l,timeout=nan", "timeout");
	refused("lowerdir=l,timeout=1s", "timeout");
	refused("lowerdir=l,timeout=1e300", "timeout");
}

static void sizes(void **state)
{
	(void)state;
	assert_int_equal(parse("lowerdir=l"), 0);
	assert_int_equal(o.size, 0);
	assert_int_equal(parse("lowerdir=l,size=10m"), 0);
	assert_int_equal(o.size, 10 << 20);
	assert_int_equal(parse("lowerdir=l,size=4096"), 0);
	assert_int_equal(o.size, 4096);
	refused("lowerdir=l,size=0", "no size");
	refused("lowerdir=l,size=", "no size");
	refused("lowerdir=l,size=-1", "no size");
	refused("lowerdir=l,size=50%", "no size");
	refused("lowerdir=l,size=99999999999999p", "no size");
}

static void ids(void **state)
{
	char *text = malloc(8 * (UFS_ID_RANGES_MAX + 8));
	size_t len;

	(void)state;
	assert_int_equal(parse("lowerdir=l,uidmapping=0:1000:1:1:100000:65536,gidmapping=5:6:7"),
			 0);
	assert_int_equal(o.uids.n, 2);
	assert_int_equal(o.uids.ranges[1].stored, 1);
	assert_int_equal(o.uids.ranges[1].shown, 100000);
	assert_int_equal(o.uids.ranges[1].count, 65536);
	assert_int_equal(o.gids.n, 1);
	assert_int_equal(o.gids.ranges[0].shown, 6);
	assert_int_equal(parse("lowerdir=l,uidmapping=:0:1000:1"), 0);
	assert_int_equal(o.uids.ranges[0].shown, 1000);
	refused("lowerdir=l,uidmapping=", "STORED");
	refused("lowerdir=l,uidmapping=:", "STORED");
	refused("lowerdir=l,uidmapping=::0:1000:1", "STORED");
	refused("lowerdir=l,uidmapping=1", "STORED");
	refused("lowerdir=l,uidmapping=1:2", "STORED");
	refused("lowerdir=l,uidmapping=1:2:", "STORED");
	refused("lowerdir=l,uidmapping=1:2:3:", "STORED");
	refused("lowerdir=l,uidmapping=1:2:3:4", "STORED");
	refused("lowerdir=l,uidmapping=-1:2:3", "STORED");
	refused("lowerdir=l,gidmapping=4294967296:2:3", "STORED");
	len = (size_t)snprintf(text, 64, "lowerdir=l,uidmapping=");
	for (size_t i = 0; i <= UFS_ID_RANGES_MAX; i++)
		len += (size_t)snprintf(text + len, 8, "%s0:0:1", i ? ":" : "");
	refused(text, "more than 340");
	free(text);
}

static void squashing(void **state)
{
	(void)state;
	assert_int_equal(parse("lowerdir=l,squash_to_root"), 0);
	assert_true(o.uids.squash && o.gids.squash && !o.uids.squashed && !o.gids.squashed);
	/* The more exact one goes before, whichever came first. */
	assert_int_equal(parse("lowerdir=l,squash_to_uid=33,squash_to_root"), 0);
	assert_int_equal(o.uids.squashed, 33);
	assert_int_equal(o.gids.squashed, 0);
	assert_int_equal(parse("lowerdir=l,squash_to_gid=4294967294"), 0);
	assert_int_equal(o.gids.squashed, 4294967294u);
	assert_false(o.uids.squash);
	refused("lowerdir=l,squash_to_uid=4294967295", "no id");
	refused("lowerdir=l,squash_to_gid=root", "no id");
	refused("lowerdir=l,squash_to_uid=", "no id");
}

static void refusals(void **state)
{
	(void)state;
	refused("bogus", "unknown option: bogus");
	refused("lowerdir=l,bogus=1", "unknown option: bogus=1");
	refused("lowerdir", "no value");
	refused("metacopy", "no value");
	refused("upperdir=u,workdir=w", "lowerdir= is missing");
	refused("lowerdir=", "empty path");
	refused("lowerdir=a::b", "data-only");
	refused("lowerdir=:a", "empty path");
	refused("lowerdir=a:", "empty path");
	refused("lowerdir=a,upperdir=b", "workdir");
	refused("lowerdir=a,upperdir=,workdir=w", "no path");
	refused("lowerdir=a,metacopy=maybe", "on or off");
	refused("lowerdir=a,redirect_dir=maybe", "redirect_dir");
	refused("lowerdir=a,xino=", "on or off");
	refused("lowerdir=a,plugins=x", "plugins");
	refused("lowerdir=a,xattr_permissions=2", "xattr_permissions");
	/* A new line in an option is no second line of the error. */
	assert_int_equal(parse("lowerdir=a,b\\\nc"), -EINVAL);
}

static int parse_args(int argc, const char *a, const char *b, const char *c, const char *d)
{
	char *argv[] = {
		(char[]){ "strata-unionfs" }, (char *)a, (char *)b, (char *)c, (char *)d, NULL
	};

	union_options_done(&o);
	err_clear();
	return union_options_parse(argc, argv, &o);
}

static void arguments(void **state)
{
	(void)state;
	assert_int_equal(parse_args(4, "m", "-olowerdir=l", "-f", NULL), 0);
	assert_true(o.foreground);
	assert_string_equal(o.mountpoint, "m");
	assert_int_equal(parse_args(5, "-o", "lowerdir=l", "-oro", "m"), 0);
	assert_true(o.rdonly);
	assert_int_equal(parse_args(4, "--debug", "-olowerdir=l", "m", NULL), 0);
	assert_true(o.debug && o.foreground);
	assert_int_equal(parse_args(2, "--version", NULL, NULL, NULL), 0);
	assert_true(o.version);
	assert_int_equal(parse_args(2, "--help", NULL, NULL, NULL), 0);
	assert_true(o.help);
	assert_int_equal(parse_args(3, "-o", "lowerdir=l", NULL, NULL), -EINVAL);
	assert_int_equal(parse_args(4, "-olowerdir=l", "m", "n", NULL), -EINVAL);
	assert_int_equal(parse_args(2, "-o", NULL, NULL, NULL), -EINVAL);
	assert_int_equal(parse_args(3, "-x", "m", NULL, NULL), -EINVAL);
	assert_int_equal(parse_args(3, "--bogus", "m", NULL, NULL), -EINVAL);
	assert_int_equal(parse_args(1, NULL, NULL, NULL, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(paths, end),
		cmocka_unit_test_teardown(escapes, end),
		cmocka_unit_test_teardown(labels, end),
		cmocka_unit_test_teardown(many_lowers, end),
		cmocka_unit_test_teardown(switches, end),
		cmocka_unit_test_teardown(times, end),
		cmocka_unit_test_teardown(sizes, end),
		cmocka_unit_test_teardown(ids, end),
		cmocka_unit_test_teardown(squashing, end),
		cmocka_unit_test_teardown(refusals, end),
		cmocka_unit_test_teardown(arguments, end),
	};

	return cmocka_run_group_tests_name("engine/union_options", tests, NULL, NULL);
}
