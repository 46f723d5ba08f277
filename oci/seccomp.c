/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/seccomp.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "base/str.h"
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/stat.h>

#define ACTION_ERRNO UINT32_MAX /* with a number, EPERM unless one is said */
#define ACTION_TRACE (UINT32_MAX - 1)
#define FILTER_MAX   (BPF_MAXINSNS * sizeof(struct sock_filter))

static const struct {
	const char *name;
	uint32_t action;
} actions[] = {
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	{ "SCMP_ACT_ERRNO", ACTION_ERRNO },
	{ "SCMP_ACT_TRACE", ACTION_TRACE },
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
};

static const struct {
	const char *name;
	enum scmp_compare op;
} ops[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

/* Of this processor's family; others in a profile are for other machines. */
static const struct {
	const char *name;
	uint32_t arch;
} arches[] = {
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86 },
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64 },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32 },
};

static const struct {
	const char *name;
	unsigned int flag;
} flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", 0 /* we are one thread */ },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
};

const char *oci_seccomp_action(unsigned n)
{
	return n < ARRAY_SIZE(actions) ? actions[n].name : NULL;
}

const char *oci_seccomp_op(unsigned n)
{
	return n < ARRAY_SIZE(ops) ? ops[n].name : NULL;
}

const char *oci_seccomp_arch(unsigned n)
{
	return n < ARRAY_SIZE(arches) ? arches[n].name : NULL;
}

static int parse_action(const json_t *obj, const char *key, const char *errno_key, uint32_t *ret)
{
	int64_t number = EPERM;
	const char *name = "";
	int r = member_str(obj, key, &name);

	if (r >= 0)
		r = member_int(obj, errno_key, 0, 4095, &number);
	if (r < 0)
		return r;
	if (streq(name, "SCMP_ACT_NOTIFY"))
		return err(-EINVAL, "seccomp: SCMP_ACT_NOTIFY is not supported");
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!streq(actions[i].name, name))
			continue;
		*ret = actions[i].action == ACTION_ERRNO ? SCMP_ACT_ERRNO((unsigned)number) :
		       actions[i].action == ACTION_TRACE ? SCMP_ACT_TRACE((unsigned)number) :
							   actions[i].action;
		return 0;
	}
	return err(-EINVAL, "seccomp: unknown action \"%s\"", name);
}

static int parse_arg(const json_t *j, struct scmp_arg_cmp *ret)
{
	int64_t index = 0, value = 0, two = 0;
	const char *op = "";
	int r = member_int(j, "index", 0, 5, &index);

	if (r >= 0)
		r = member_int(j, "value", 0, INT64_MAX, &value);
	if (r >= 0)
		r = member_int(j, "valueTwo", 0, INT64_MAX, &two);
	if (r >= 0)
		r = member_str(j, "op", &op);
	/* It may have been a larger one (clamp_numbers()), and the rule would mean another. */
	if (r >= 0 && (value == INT64_MAX || two == INT64_MAX))
		r = err(-EINVAL,
			"seccomp: an argument is compared to a number of more than 63 bits");
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!streq(ops[i].name, op))
			continue;
		*ret = (struct scmp_arg_cmp){ (unsigned)index, ops[i].op, (scmp_datum_t)value,
					      (scmp_datum_t)two };
		return 0;
	}
	return err(-EINVAL, "seccomp: unknown comparison \"%s\"", op);
}

static bool same_index(const struct scmp_arg_cmp *args, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = 0; j < i; j++) {
			if (args[i].arg == args[j].arg)
				return true;
		}
	}
	return false;
}

/* An argument compared twice is two rules, either of which is enough (as runc has it). */
static int add_call(scmp_filter_ctx ctx, uint32_t action, int nr, const struct scmp_arg_cmp *args,
		    unsigned n)
{
	int r = 0;

	if (!same_index(args, n))
		return seccomp_rule_add_array(ctx, action, nr, n, args);
	for (unsigned i = 0; r >= 0 && i < n; i++)
		r = seccomp_rule_add_array(ctx, action, nr, 1, &args[i]);
	return r;
}

static int add_rule(scmp_filter_ctx ctx, const json_t *rule, uint32_t dflt)
{
	const json_t *names = NULL, *list = NULL;
	struct scmp_arg_cmp args[6];
	uint32_t action = 0;
	int r = parse_action(rule, "action", "errnoRet", &action);

	if (r >= 0)
		r = member_array(rule, "names", &names);
	if (r >= 0)
		r = member_array(rule, "args", &list);
	if (r >= 0 && json_array_size(list) > ARRAY_SIZE(args))
		r = err(-EINVAL, "seccomp: a rule with more than 6 arguments");
	for (size_t i = 0; r >= 0 && i < json_array_size(list); i++)
		r = parse_arg(json_array_get(list, i), &args[i]);
	if (r < 0 || action == dflt)
		return r;
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		int nr = name ? seccomp_syscall_resolve_name(name) : __NR_SCMP_ERROR;

		/* Unknown here: of a newer kernel or another processor. */
		if (nr == __NR_SCMP_ERROR)
			continue;
		r = add_call(ctx, action, nr, args, (unsigned)json_array_size(list));
		if (r < 0)
			return err(r, "seccomp: rule for %s: %s", name, strerror(-r));
	}
	return 0;
}

static int add_arches(scmp_filter_ctx ctx, const json_t *profile)
{
	const json_t *list = NULL;
	int r = member_array(profile, "architectures", &list);

	for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));

		for (size_t k = 0; name && k < ARRAY_SIZE(arches); k++) {
			if (streq(arches[k].name, name))
				r = seccomp_arch_add(ctx, arches[k].arch);
		}
		if (!name || !str_after(name, "SCMP_ARCH_"))
			return err(-EINVAL, "seccomp: unknown architecture \"%s\"", name ?: "");
		r = r == -EEXIST ? 0 : r;
	}
	return r;
}

static int add_all(scmp_filter_ctx ctx, const json_t *profile, uint32_t dflt)
{
	const json_t *rules = NULL;
	int r = add_arches(ctx, profile);

	/* A tree over the numbers, where a list takes hundreds of steps a call. */
	if (r >= 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r >= 0)
		r = member_array(profile, "syscalls", &rules);
	for (size_t i = 0; r >= 0 && i < json_array_size(rules); i++)
		r = add_rule(ctx, json_array_get(rules, i), dflt);
	return r;
}

static int compile(const json_t *profile, char **ret, size_t *ret_len)
{
	uint32_t dflt = 0;
	scmp_filter_ctx ctx;
	_close_ int fd = -1;
	int r = parse_action(profile, "defaultAction", "defaultErrnoRet", &dflt);

	if (r < 0)
		return r;
	ctx = seccomp_init(dflt);
	fd = fd_memfd("seccomp", NULL, 0);
	if (!ctx || fd < 0) {
		seccomp_release(ctx);
		return -ENOMEM;
	}
	r = add_all(ctx, profile, dflt);
	if (r >= 0)
		r = seccomp_export_bpf(ctx, fd);
	seccomp_release(ctx);
	if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r >= 0)
		r = fd_read_all(fd, FILTER_MAX, ret, ret_len);
	return r < 0 ? err(r, "seccomp: %s", strerror(-r)) : 0;
}

/* Of this program's version too, and so of the libseccomp in it. */
static int cache_name(const json_t *profile, char name[80])
{
	size_t len;
	_free_ char *text = json_text(profile, &len);
	_buf_done_ struct buf all = { 0 };
	struct digest d;

	if (!text)
		return -ENOMEM;
	buf_addf(&all, "%s %u.%u.%u\n", STRATA_VERSION, seccomp_version()->major,
		 seccomp_version()->minor, seccomp_version()->micro);
	buf_add(&all, text, len);
	if (all.failed)
		return -ENOMEM;
	d = sha256_of(all.data, all.len);
	str_copy(name, 80, digest_hex(&d).s);
	return 0;
}

static int load(const json_t *profile, int cache, char **ret, size_t *ret_len)
{
	char name[80];
	int r = cache_name(profile, name);

	if (r < 0)
		return r;
	if (cache >= 0 && file_read_all(cache, name, FILTER_MAX, ret, ret_len) >= 0) {
		if (*ret_len && *ret_len % sizeof(struct sock_filter) == 0)
			return 0;
		free(take_ptr(*ret));
	}
	r = compile(profile, ret, ret_len);
	if (r >= 0 && cache >= 0)
		file_replace(cache, name, *ret, *ret_len, 0600, false);
	return r;
}

static int parse_flags(struct keep *mem, const json_t *profile, unsigned int *ret)
{
	char **words = NULL;
	int r = member_strv(mem, profile, "flags", &words);

	*ret = 0;
	for (; r >= 0 && words && *words; words++) {
		size_t i = 0;

		while (i < ARRAY_SIZE(flags) && !streq(flags[i].name, *words))
			i++;
		if (i == ARRAY_SIZE(flags))
			return err(-EINVAL, "seccomp: unknown or unsupported flag %s", *words);
		*ret |= flags[i].flag;
	}
	return r;
}

int oci_seccomp(struct keep *mem, const json_t *profile, int cache, struct sock_fprog *ret,
		unsigned int *ret_flags)
{
	const char *listener = NULL;
	char *data = NULL;
	size_t len = 0;
	int r = member_str(profile, "listenerPath", &listener);

	if (r >= 0 && listener)
		r = err(-EINVAL, "seccomp: a listener (listenerPath) is not supported");
	if (r >= 0)
		r = parse_flags(mem, profile, ret_flags);
	if (r >= 0)
		r = load(profile, cache, &data, &len);
	if (r < 0)
		return r;
	if (!keep_take(mem, data))
		return -ENOMEM;
	ret->filter = (struct sock_filter *)(void *)data;
	ret->len = (unsigned short)(len / sizeof(struct sock_filter));
	return 0;
}
