/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules about devices for a cgroup of v2: a BPF program (BPF_PROG_TYPE_CGROUP_DEVICE, linux/bpf.h)
 * that the kernel asks at each open and mknod. The last rule that fits decides, as it is in v1's
 * list: an allowing one fits when it has all that is asked for, a denying one when it has any.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/userns.h"
#include "oci/cgroup.h"
#include <linux/bpf.h>
#include <sys/syscall.h>

#define RULE_INSNS 8 /* the most that one rule takes */

/* The context, taken apart: r2 is the type, r3 the access, r4 major, r5 minor. */
static const struct bpf_insn prologue[] = {
	{ .code = BPF_LDX | BPF_MEM | BPF_W,
	  .dst_reg = BPF_REG_2,
	  .src_reg = BPF_REG_1,
	  .off = offsetof(struct bpf_cgroup_dev_ctx, access_type) },
	{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_3, .src_reg = BPF_REG_2 },
	{ .code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = BPF_REG_2, .imm = 0xffff },
	{ .code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = BPF_REG_3, .imm = 16 },
	{ .code = BPF_LDX | BPF_MEM | BPF_W,
	  .dst_reg = BPF_REG_4,
	  .src_reg = BPF_REG_1,
	  .off = offsetof(struct bpf_cgroup_dev_ctx, major) },
	{ .code = BPF_LDX | BPF_MEM | BPF_W,
	  .dst_reg = BPF_REG_5,
	  .src_reg = BPF_REG_1,
	  .off = offsetof(struct bpf_cgroup_dev_ctx, minor) },
};

/* A jump whose target is the next rule: set when that is known. */
static struct bpf_insn unless_equal(uint8_t reg, int64_t value)
{
	return (struct bpf_insn){ .code = BPF_JMP32 | BPF_JNE | BPF_K,
				  .dst_reg = reg,
				  .imm = (int32_t)value };
}

/* r0 = r3 & what the rule has (denying: it must not be 0) or has not (allowing: it must be 0). */
static size_t add_access(struct bpf_insn *p, const struct device_rule *d)
{
	p[0] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_X,
				  .dst_reg = BPF_REG_0,
				  .src_reg = BPF_REG_3 };
	p[1] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_AND | BPF_K,
				  .dst_reg = BPF_REG_0,
				  .imm = (int32_t)(d->allow ? ~d->access & 7 : d->access) };
	p[2] = (struct bpf_insn){ .code = BPF_JMP | (d->allow ? BPF_JNE : BPF_JEQ) | BPF_K,
				  .dst_reg = BPF_REG_0 };
	return 3;
}

static size_t add_rule(struct bpf_insn *p, const struct device_rule *d)
{
	size_t n = 0, end;

	if (d->type != 'a')
		p[n++] = unless_equal(BPF_REG_2,
				      d->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (d->major >= 0)
		p[n++] = unless_equal(BPF_REG_4, d->major);
	if (d->minor >= 0)
		p[n++] = unless_equal(BPF_REG_5, d->minor);
	n += add_access(p + n, d);
	end = n + 2;
	for (size_t i = 0; i < n; i++) {
		if (BPF_CLASS(p[i].code) == BPF_JMP || BPF_CLASS(p[i].code) == BPF_JMP32)
			p[i].off = (int16_t)(end - i - 1);
	}
	p[n++] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K,
				    .dst_reg = BPF_REG_0,
				    .imm = d->allow };
	p[n++] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
	return n;
}

static size_t fill(struct bpf_insn *p, const struct device_rules *r)
{
	const struct device_rule none = {
		.allow = false, .type = 'a', .major = -1, .minor = -1, .access = 7
	};
	size_t n = ARRAY_SIZE(prologue);

	memcpy(p, prologue, sizeof(prologue));
	for (size_t i = r->n; i-- > 0;)
		n += add_rule(p + n, &r->r[i]);
	n += add_rule(p + n, &none);
	p[n++] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 };
	p[n++] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
	return n;
}

static int load(const struct device_rules *r)
{
	_free_ struct bpf_insn *p =
		mem_new(ARRAY_SIZE(prologue) + (r->n + 1) * RULE_INSNS + 2, sizeof(*p));
	union bpf_attr a = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE };
	int fd;

	if (!p)
		return -ENOMEM;
	a.insn_cnt = (uint32_t)fill(p, r);
	a.insns = (uint64_t)(uintptr_t)p;
	a.license = (uint64_t)(uintptr_t) "Apache-2.0";
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a));
	return fd < 0 ? -errno : fd;
}

/* What was attached to the group before is taken away: rules are said anew as a whole. */
static void detach_others(int dir, int keep)
{
	uint32_t ids[64] = { 0 };
	union bpf_attr q = { .query = { .target_fd = (uint32_t)dir,
					.attach_type = BPF_CGROUP_DEVICE,
					.prog_ids = (uint64_t)(uintptr_t)ids,
					.prog_cnt = ARRAY_SIZE(ids) } };

	if (syscall(SYS_bpf, BPF_PROG_QUERY, &q, sizeof(q)) < 0)
		return;
	/* The last one is ours. */
	for (uint32_t i = 0; i + 1 < q.query.prog_cnt; i++) {
		union bpf_attr by_id = { .prog_id = ids[i] };
		_close_ int fd =
			(int)syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &by_id, sizeof(by_id));
		union bpf_attr d = { .target_fd = (uint32_t)dir,
				     .attach_bpf_fd = (uint32_t)fd,
				     .attach_type = BPF_CGROUP_DEVICE };

		if (fd >= 0 && fd != keep)
			syscall(SYS_bpf, BPF_PROG_DETACH, &d, sizeof(d));
	}
}

int device_rules_attach(const struct device_rules *r, const char *dir)
{
	_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), program = -1;
	union bpf_attr a = { .attach_type = BPF_CGROUP_DEVICE, .attach_flags = BPF_F_ALLOW_MULTI };

	if (fd < 0)
		return err_sys("cgroup %s", dir);
	program = load(r);
	/* A user namespace's root may not, nor may it make or open a device of others. */
	if (program == -EPERM && userns_ids() > 0)
		return 0;
	if (program < 0)
		return err(program, "cannot load the program of the devices' rules: %s",
			   strerror(-program));
	a.target_fd = (uint32_t)fd;
	a.attach_bpf_fd = (uint32_t)program;
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &a, sizeof(a)) < 0)
		return err_sys("cannot attach the devices' rules to the cgroup %s", dir);
	detach_others(fd, program);
	return 0;
}
