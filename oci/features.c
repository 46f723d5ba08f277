/* SPDX-License-Identifier: Apache-2.0 */
/* `features` (features.md, features-linux.md) and `spec`. */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/oci.h"
#include "oci/seccomp.h"
#include <unistd.h>

static json_t *names(const char *(*name)(unsigned))
{
	json_t *list = json_array();

	for (unsigned i = 0; name(i); i++)
		json_array_append_new(list, json_string(name(i)));
	return list;
}

static json_t *seccomp(void)
{
	static const char *const flags =
		"[\"SECCOMP_FILTER_FLAG_TSYNC\",\"SECCOMP_FILTER_FLAG_LOG\","
		"\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\"]";
	json_t *known = json_loads(flags, 0, NULL);

	return json_pack("{s:b,s:o,s:o,s:o,s:o,s:O}", "enabled", true, "actions",
			 names(oci_seccomp_action), "operators", names(oci_seccomp_op), "archs",
			 names(oci_seccomp_arch), "supportedFlags", known, "knownFlags", known);
}

json_t *oci_features(void)
{
	return json_pack(
		"{s:s,s:s,s:[ssssss],s:o,s:{s:[ssssssss],s:o,s:{s:b,s:b,s:b,s:b,s:b},s:o,s:{s:b},"
		"s:{s:b},s:{s:b},s:{s:{s:b}}},s:{s:s}}",
		"ociVersionMin", "1.0.0", "ociVersionMax", OCI_VERSION, "hooks", "prestart",
		"createRuntime", "createContainer", "startContainer", "poststart", "poststop",
		"mountOptions", names(oci_mount_option_name), "linux", "namespaces", "cgroup",
		"ipc", "mount", "network", "pid", "time", "user", "uts", "capabilities",
		names(ctr_cap_name), "cgroup", "v1", true, "v2", true, "systemd", false,
		"systemdUser", false, "rdma", false, "seccomp", seccomp(), "apparmor", "enabled",
		true, "selinux", "enabled", true, "intelRdt", "enabled", false, "mountExtensions",
		"idmap", "enabled", false, "annotations", "org.strata.version", STRATA_VERSION);
}

/* As runc and crun write it, with what this program would choose. */
static const char spec[] =
	"{\"ociVersion\":\"" OCI_VERSION "\",\"process\":{\"terminal\":true,\"user\":{\"uid\":0,"
	"\"gid\":0},\"args\":[\"sh\"],\"env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
	"/usr/bin:/sbin:/bin\",\"TERM=xterm\"],\"cwd\":\"/\",\"capabilities\":{\"bounding\":["
	"\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"],\"effective\":["
	"\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"],\"permitted\":["
	"\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"]},\"rlimits\":[{\"type\":"
	"\"RLIMIT_NOFILE\",\"hard\":1024,\"soft\":1024}],\"noNewPrivileges\":true},\"root\":{"
	"\"path\":\"rootfs\",\"readonly\":true},\"hostname\":\"strata\",\"mounts\":[{"
	"\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},{\"destination\":"
	"\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\","
	"\"strictatime\",\"mode=755\",\"size=65536k\"]},{\"destination\":\"/dev/pts\",\"type\":"
	"\"devpts\",\"source\":\"devpts\",\"options\":[\"nosuid\",\"noexec\",\"newinstance\","
	"\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},{\"destination\":\"/dev/shm\",\"type\":"
	"\"tmpfs\",\"source\":\"shm\",\"options\":[\"nosuid\",\"noexec\",\"nodev\","
	"\"mode=1777\",\"size=65536k\"]},{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\","
	"\"source\":\"mqueue\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},{"
	"\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":["
	"\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},{\"destination\":\"/sys/fs/cgroup\",\"type\":"
	"\"cgroup\",\"source\":\"cgroup\",\"options\":[\"nosuid\",\"noexec\",\"nodev\","
	"\"relatime\",\"ro\"]}],\"linux\":{\"resources\":{\"devices\":[{\"allow\":false,"
	"\"access\":\"rwm\"}]},\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{"
	"\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"},{\"type\":\"cgroup\"}],"
	"\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/kcore\",\"/proc/keys\","
	"\"/proc/latency_stats\",\"/proc/timer_list\",\"/proc/timer_stats\","
	"\"/proc/sched_debug\",\"/proc/scsi\",\"/sys/firmware\"],\"readonlyPaths\":["
	"\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]}}";

/* One id, as an ordinary user may map it; his devpts has no group tty. */
static void make_rootless(json_t *j)
{
	json_t *l = json_object_get(j, "linux"), *m = json_object_get(j, "mounts"), *options;

	json_array_append_new(json_object_get(l, "namespaces"), json_pack("{s:s}", "type", "user"));
	json_object_del(l, "resources");
	json_object_set_new(l, "uidMappings",
			    json_pack("[{s:i,s:i,s:i}]", "containerID", 0, "hostID", (int)geteuid(),
				      "size", 1));
	json_object_set_new(l, "gidMappings",
			    json_pack("[{s:i,s:i,s:i}]", "containerID", 0, "hostID", (int)getegid(),
				      "size", 1));
	options = json_object_get(json_array_get(m, 2), "options");
	json_array_remove(options, json_array_size(options) - 1);
}

json_t *oci_spec(bool rootless)
{
	json_t *j = json_loads(spec, 0, NULL);

	if (j && rootless)
		make_rootless(j);
	return j;
}
