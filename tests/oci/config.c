/* SPDX-License-Identifier: Apache-2.0 */
/* config.json as what the container room takes, and what is refused. */
#include "oci/config.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <cmocka.h>

#define PROCESS "\"process\":{\"args\":[\"a\",\"b\"],\"cwd\":\"/\"%s}"
#define HEAD	"{\"ociVersion\":\"1.1.0\",\"root\":{\"path\":\"r\"}," PROCESS

static struct oci_config *c;

/* A config of a minimum, with @process inside of "process", @linux_ of "linux", @rest beside. */
static int parse(const char *process, const char *linux_, const char *rest)
{
	_free_ char *text = str_fmt(HEAD ",\"linux\":{\"namespaces\":[{\"type\":\"mount\"}%s}%s}",
				    process, linux_, rest);

	oci_config_free(c);
	c = NULL;
	assert_non_null(text);
	return oci_config_parse(text, strlen(text), &c);
}

static void assert_refused(const char *process, const char *linux_, const char *rest,
			   const char *why)
{
	assert_int_equal(parse(process, linux_, rest), -EINVAL);
	assert_null(c);
	if (!strstr(err_text(), why))
		fail_msg("\"%s\" says nothing of \"%s\"", err_text(), why);
	err_clear();
}

static void minimum(void **state _unused_)
{
	assert_int_equal(parse("", "]", ""), 0);
	assert_string_equal(c->root, "r");
	assert_string_equal(c->spec.argv[1], "b");
	assert_null(c->spec.argv[2]);
	assert_int_equal(c->given.nnamespaces, 1);
	assert_int_equal(c->given.umask, 022);
	assert_int_equal(c->given.ndevices, 6); /* the defaults */
	assert_int_equal(c->given.caps.bounding, 0);
	assert_false(c->has_oom);
}

static void versions(void **state _unused_)
{
	static const char *const bad[] = { "\"2.0.0\"", "\"0.9\"", "1", "null" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_free_ char *text = str_fmt("{\"ociVersion\":%s}", bad[i]);

		assert_int_equal(oci_config_parse(text, strlen(text), &c), -EINVAL);
		err_clear();
	}
	assert_int_equal(oci_config_parse("[]", 2, &c), -EINVAL);
	err_clear();
	assert_int_equal(oci_config_parse("{", 1, &c), -EBADMSG);
	err_clear();
}

static void process(void **state _unused_)
{
	assert_int_equal(
		parse(",\"terminal\":true,\"consoleSize\":{\"height\":24,\"width\":80},"
		      "\"user\":{\"uid\":5,\"gid\":6,\"umask\":7,\"additionalGids\":[8,9]},"
		      "\"env\":[\"A=b\"],\"noNewPrivileges\":true,\"oomScoreAdj\":-3,"
		      "\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"CAP_NEWER\"],\"ambient\":["
		      "\"CAP_CHECKPOINT_RESTORE\"]},"
		      "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":10,\"hard\":"
		      "18446744073709551615}]",
		      "]", ""),
		0);
	assert_true(c->spec.tty && c->spec.rows == 24 && c->spec.cols == 80);
	assert_true(c->given.uid == 5 && c->given.gid == 6 && c->given.umask == 7);
	assert_true(c->given.ngroups == 2 && c->given.groups[1] == 9);
	assert_true(c->spec.no_new_privs && c->has_oom && c->oom_score_adj == -3);
	assert_int_equal(c->given.caps.bounding, 1ull << CAP_KILL);
	assert_int_equal(c->given.caps.ambient, 1ull << 40);
	assert_int_equal(c->spec.nrlimits, 1);
	assert_int_equal(c->rlimits[0].limit.rlim_cur, 10);
	assert_true(c->rlimits[0].limit.rlim_max == RLIM_INFINITY);
}

static void processes_refused(void **state _unused_)
{
	assert_refused(",\"env\":\"A=b\"", "]", "", "env is not a list");
	assert_refused(",\"env\":[1]", "]", "", "env is not a list of strings");
	assert_refused(",\"user\":{\"uid\":4294967295}", "]", "", "uid is 4294967295");
	assert_refused(",\"user\":{\"uid\":-1}", "]", "", "uid");
	assert_refused(",\"user\":{\"additionalGids\":[\"0\"]}", "]", "", "additionalGids");
	assert_refused(",\"oomScoreAdj\":1001", "]", "", "oomScoreAdj");
	assert_refused(",\"rlimits\":[{\"type\":\"RLIMIT_X\"}]", "]", "", "RLIMIT_X");
	assert_refused(",\"rlimits\":[{\"type\":\"RLIMIT_CPU\"},{\"type\":\"RLIMIT_CPU\"}]", "]",
		       "", "twice");
	assert_int_equal(oci_process_parse("{\"args\":[],\"cwd\":\"/\"}", 21, &c), -EINVAL);
	err_clear();
	assert_int_equal(oci_process_parse("{\"args\":[\"a\"],\"cwd\":\"x\"}", 24, &c), -EINVAL);
	err_clear();
}

static void namespaces(void **state _unused_)
{
	assert_int_equal(parse("",
			       ",{\"type\":\"user\"},{\"type\":\"network\",\"path\":\"/n\"},"
			       "{\"type\":\"time\"}],\"uidMappings\":[{\"containerID\":0,"
			       "\"hostID\":1000,\"size\":1}],\"gidMappings\":[{\"containerID\":0,"
			       "\"hostID\":1000,\"size\":10}],\"timeOffsets\":{\"monotonic\":{"
			       "\"secs\":-5,\"nanosecs\":1}}",
			       ""),
			 0);
	assert_true(config_has_namespace(c, CLONE_NEWUSER, true));
	assert_true(config_has_namespace(c, CLONE_NEWNET, false));
	assert_false(config_has_namespace(c, CLONE_NEWNET, true));
	assert_int_equal(c->given.gids[0].count, 10);
	assert_string_equal(c->given.time_offsets, "monotonic -5 1\n");
	assert_refused("", ",{\"type\":\"mount\"}]", "", "twice");
	assert_refused("", ",{\"type\":\"x\"}]", "", "unknown namespace x");
	assert_refused("", ",{\"type\":\"uts\",\"path\":\"n\"}]", "", "not absolute");
	assert_refused("", ",{\"type\":\"user\"}]", "", "without mappings");
	assert_refused("", "],\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]", "",
		       "without a user namespace");
	assert_refused("", "],\"timeOffsets\":{\"boottime\":{\"secs\":1}}", "", "time namespace");
	assert_refused("", "]", ",\"hostname\":\"h\"", "uts");
}

static const struct ctr_given_mount *mount_of(const char *options)
{
	_free_ char *rest = str_fmt(",\"mounts\":[{\"destination\":\"/m\",\"source\":\"/s\","
				    "\"type\":\"tmpfs\",\"options\":[%s]}]",
				    options);

	assert_int_equal(parse("", "]", rest), 0);
	assert_int_equal(c->given.nmounts, 1);
	return &c->given.mounts[0];
}

static void mounts(void **state _unused_)
{
	const struct ctr_given_mount *m = mount_of("\"ro\",\"nosuid\",\"size=1m\",\"mode=755\"");

	assert_string_equal(m->type, "tmpfs");
	assert_int_equal(m->flags, MS_RDONLY | MS_NOSUID);
	assert_string_equal(m->data, "size=1m,mode=755");
	m = mount_of("\"rbind\",\"rro\",\"nodev\",\"rslave\"");
	assert_null(m->type);
	assert_true(m->recursive);
	assert_int_equal(m->rec_set, MOUNT_ATTR_RDONLY);
	assert_int_equal(m->attr_set, MOUNT_ATTR_NODEV);
	assert_int_equal(m->propagation, MS_SLAVE | MS_REC);
	m = mount_of("\"bind\",\"ro\",\"rw\",\"noatime\"");
	assert_false(m->recursive);
	assert_int_equal(m->attr_set, MOUNT_ATTR_NOATIME);
	assert_int_equal(m->attr_clr, MOUNT_ATTR__ATIME);
	assert_true(mount_of("\"tmpcopyup\"")->copyup);
	assert_refused("", "]", ",\"mounts\":[{\"destination\":\"/m\"}]", "without a type");
	assert_refused("", "]", ",\"mounts\":[{\"type\":\"proc\"}]", "destination");
	assert_refused("", "]", ",\"mounts\":[{\"destination\":\"/m\",\"type\":\"bind\"}]",
		       "without a source");
	assert_refused("", "]",
		       ",\"mounts\":[{\"destination\":\"/m\",\"type\":\"bind\",\"source\":\"/\","
		       "\"options\":[\"ridmap\"]}]",
		       "idmapped");
}

static void devices(void **state _unused_)
{
	assert_int_equal(parse("",
			       "],\"devices\":[{\"path\":\"/dev/null\",\"type\":\"c\","
			       "\"major\":1,\"minor\":3,\"fileMode\":384,\"uid\":7},{\"path\":"
			       "\"/dev/d\",\"type\":\"b\",\"major\":8,\"minor\":1}]",
			       ""),
			 0);
	assert_int_equal(c->given.ndevices, 7);
	assert_int_equal(c->given.devices[0].mode, S_IFCHR | 0600);
	assert_int_equal(c->given.devices[0].uid, 7);
	assert_int_equal(c->given.devices[1].rdev, makedev(8, 1));
	assert_refused("", "],\"devices\":[{\"path\":\"/dev/d\",\"type\":\"x\"}]", "", "type");
	assert_refused("", "],\"devices\":[{\"path\":\"d\",\"type\":\"c\"}]", "", "absolute");
}

static void rest_of_linux(void **state _unused_)
{
	assert_int_equal(parse("",
			       ",{\"type\":\"ipc\"},{\"type\":\"network\"}],\"sysctl\":{"
			       "\"net.ipv4.ip_forward\":\"1\"},\"rootfsPropagation\":"
			       "\"rslave\",\"maskedPaths\":[\"/a\"],\"readonlyPaths\":null,"
			       "\"personality\":{\"domain\":\"LINUX32\"}",
			       ""),
			 0);
	assert_string_equal(c->given.sysctls[0], "net/ipv4/ip_forward");
	assert_string_equal(c->given.sysctls[1], "1");
	assert_int_equal(c->given.root_propagation, MS_SLAVE | MS_REC);
	assert_string_equal(c->given.masked[0], "/a");
	assert_null(c->given.rdonly);
	assert_int_equal(c->given.personality, 8);
	assert_refused("", "],\"sysctl\":{\"net.core.somaxconn\":\"1\"}", "", "no namespace");
	assert_refused("", ",{\"type\":\"ipc\"}],\"sysctl\":{\"kernel.panic\":\"1\"}", "",
		       "no namespace");
	assert_refused("", ",{\"type\":\"network\"}],\"sysctl\":{\"net.../x\":\"1\"}", "",
		       "no sysctl");
	assert_refused("", "],\"rootfsPropagation\":\"odd\"", "", "odd");
	assert_refused("", "],\"intelRdt\":{}", "", "intelRdt");
	assert_refused(",\"scheduler\":{}", "]", "", "scheduler is not supported");
	assert_int_equal(parse("", "],\"intelRdt\":null", ""), 0);
}

static int teardown(void **state _unused_)
{
	oci_config_free(c);
	c = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(minimum),    cmocka_unit_test(versions),
		cmocka_unit_test(process),    cmocka_unit_test(processes_refused),
		cmocka_unit_test(namespaces), cmocka_unit_test(mounts),
		cmocka_unit_test(devices),    cmocka_unit_test(rest_of_linux),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, teardown);
}
