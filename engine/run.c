/* SPDX-License-Identifier: Apache-2.0 */
/* `run`: image and options become a spec, a snapshot and an instance, and a supervisor takes over.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/bridge.h"
#include "engine/checkpoint.h"
#include "engine/engine_.h"
#include "engine/kernel.h"
#include "engine/qemu.h"
#include "engine/spec.h"
#include "engine/top.h"
#include "engine/union_mount.h"
#include <poll.h>
#include <sys/socket.h>

/*
 * Mounts and namespaces: without root it would fail half way, by a line that does not say why. A
 * mount there is with fusermount3's help.
 */
static int need_root(const struct run_options *o)
{
	_free_ char *helper = o->kind == RUN_MOUNT ? union_fusermount() : NULL;

	if (geteuid() == 0 || helper)
		return 0;
	if (o->kind == RUN_MOUNT)
		return err(-EPERM, "mount %s needs root, or fusermount3 (package fuse3)", o->image);
	return err(-EPERM, "run %s needs root", o->image);
}

/* KVM where it can run Linux, else QEMU if that is there, and a line that says so. */
static int choose_vmm(struct engine *e, const char *word, struct run_spec *spec)
{
	_free_ char *why = NULL;
	int r;

	word = word ? word : getenv("STRATA_VMM");
	word = word && *word ? word : "auto";
	spec->emulated = streq(word, "qemu");
	if (spec->emulated)
		return qemu_find(NULL);
	if (!streq(word, "kvm") && !streq(word, "auto"))
		return err(-EINVAL, "VMM '%s': must be auto, kvm or qemu", word);
	r = engine_vm_usable(e);
	if (r != -EOPNOTSUPP || streq(word, "kvm"))
		return r;
	why = strdup(err_take(r));
	if (!why)
		return -ENOMEM;
	if (qemu_find(NULL) < 0) {
		err_clear();
		return err(r, "%s; with the package qemu-system-x86 it would be emulated", why);
	}
	spec->emulated = true;
	snprintf(e->note, sizeof(e->note), "%s; QEMU emulates it, slowly", why);
	return 0;
}

/* Else QEMU would end, and nobody could say why. */
static int check_kernel(const char *path)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char why[256];
	int r = fd < 0 ? err_sys("guest kernel %s", path) : vm_kernel_check(fd, true);

	if (r != -ENOEXEC)
		return r;
	snprintf(why, sizeof(why), "%s", err_take(r));
	return err(r, "%s: %s", path, why);
}

/*
 * Bytes. QEMU's virtio-mmio says 1,024 entries of every queue, whatever its device has said
 * (hw/virtio/virtio-mmio.c, QUEUE_NUM_MAX), and Linux fills those that it receives by: 4 MiB for
 * each port of the console and for its control, 8 MiB for the vsock, 28 or 32 MiB in all. Of 50 MiB
 * nothing is left for init.
 */
#define EMULATED_MIN (UINT64_C(64) << 20)

static int check_size(const struct run_spec *spec)
{
	const size_t places = QEMU_DEVICES_MAX - QEMU_DEVICES_ALWAYS;
	size_t n = spec->nvolumes + spec->ndisks + spec->balloon + spec_has_eth0(spec);

	if (spec->limits.memory < EMULATED_MIN)
		return err(-EINVAL, "a microVM that QEMU emulates has 64m of memory or more");
	if (n > places)
		return err(-E2BIG,
			   "a microVM that QEMU emulates has at most %zu volumes, disks, network "
			   "and balloon together, not %zu",
			   places, n);
	return 0;
}

/* What QEMU would pass over is refused, not forgotten. */
static int check_emulated(const struct run_spec *spec)
{
	int r = check_size(spec);

	if (r < 0)
		return r;
	if (spec->dax)
		return err(-EOPNOTSUPP, "--dax is for KVM, and this microVM would be emulated by "
					"QEMU");
	if (spec->pages == VM_PAGES_THP)
		return err(-EOPNOTSUPP, "--huge-pages thp is for KVM, and this microVM would be "
					"emulated by QEMU: hugetlb is for both");
	if (spec->trace)
		return err(-EOPNOTSUPP, "--trace-boot is for KVM, and this microVM would be "
					"emulated by QEMU");
	if (spec->acpi)
		return err(-EOPNOTSUPP,
			   "%s learns of its machine by ACPI, with which it has no "
			   "clock in QEMU's emulation: boot another by --kernel",
			   spec->kernel);
	return check_kernel(spec->kernel);
}

static int choose_kernel(struct engine *e, const struct run_options *o, struct run_spec *spec)
{
	struct kernel_files f;
	int r = kernel_choose(e->store, o->kernel, &f);

	if (r < 0)
		return r;
	r = spec_set(&spec->kernel, f.vmlinux);
	if (r == 0)
		r = spec_set(&spec->modules, f.modules);
	spec->acpi = f.acpi;
	kernel_files_done(&f);
	return r;
}

static int prepare_kind(struct engine *e, const struct run_options *o, struct run_spec *spec)
{
	int r = 0;

	e->note[0] = '\0';
	if (spec->kind != RUN_VM)
		return 0;
	r = choose_kernel(e, o, spec);
	if (r >= 0)
		r = choose_vmm(e, o->vmm, spec);
	return r < 0 || !spec->emulated ? r : check_emulated(spec);
}

/*
 * An image for another processor fails with "exec format error" at best. A container of one is
 * started when it was asked for by name: binfmt_misc may know an emulator.
 */
static int check_platform(const struct run_options *o, const struct image *i)
{
	struct platform want, have;
	int r = o->platform ? platform_parse(o->platform, &want) : 0;

	platform_of(i->config, &have);
	if (r < 0 || o->kind == RUN_MOUNT || (!o->platform && platform_runs_here(&have)))
		return r;
	if (!o->platform)
		return err(-ENOEXEC,
			   "%s is an image for %s: `strata pull` has --platform; run has it too, "
			   "for emulators in binfmt_misc",
			   o->image, platform_text(&have).s);
	if (!platform_fits(&want, &have))
		return err(-ENOENT, "%s is an image for %s, not for %s: pull it with --platform",
			   o->image, platform_text(&have).s, platform_text(&want).s);
	if (o->kind == RUN_VM && !platform_runs_here(&have))
		return err(-ENOEXEC,
			   "%s is an image for %s: a microVM has this machine's processor",
			   o->image, platform_text(&have).s);
	return 0;
}

void undo_instance(struct engine *e, struct inst *i)
{
	snapshot_remove(e->store, inst_id(i));
	inst_delete(i);
	inst_close(i);
}

/* What was asked for stands beside the top too: state folders are gone after a reboot, tops are
 * not. */
int keep_config(struct engine *e, const char *id, const json_t *config)
{
	_free_ char *path = str_fmt("snapshots/%s", id), *text = NULL;
	const char *kernel = json_get_str(config, "kernel");
	_close_ int dir = -1;
	size_t len;
	int r;

	text = json_text(config, &len);
	if (!path || !text)
		return -ENOMEM;
	dir = openat(store_dirfd(e->store), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys("%s/%s", e->root, path);
	r = file_replace(dir, "config.json", text, len, 0600, false);
	return r < 0 || !kernel ? r : snapshot_note_kernel(e->store, id, kernel);
}

/* The instance comes before its snapshot and goes after it: a snapshot without an instance is a
 * leftover. */
static int create_instance(struct engine *e, struct run_spec *spec, const struct stack *k,
			   struct inst **ret)
{
	char id[INST_ID_LEN + 1];
	_json_ json_t *config = NULL;
	struct inst *inst;
	int r = inst_new_id(e->runroot_fd, id);

	if (r < 0)
		return r;
	r = spec_set(&spec->id, id);
	if (r >= 0)
		r = spec_set(&spec->store, e->root);
	config = r >= 0 ? spec_to_json(spec) : NULL;
	if (!config)
		return -ENOMEM;
	r = inst_create(e->runroot_fd, id, config, &inst);
	if (r < 0)
		return r;
	r = top_create(e->store, id, spec->layers, spec->nlayers, k, spec_mapped(spec));
	if (r >= 0)
		r = keep_config(e, id, config);
	if (r < 0) {
		undo_instance(e, inst);
		return r;
	}
	*ret = inst;
	return 0;
}

int spawn_monitor(struct engine *e, const char *id, const struct start_options *o, struct run *ret)
{
	_free_ char *path = NULL, *keys = NULL;
	_close_ int pidfd = -1;
	int pipefd[2], r = proc_sibling("strata-monitor", &path);
	char program[] = "strata-monitor", word_restore[] = "restore",
	     word_hashed[] = "restore-hashed", word_detached[] = "detached";
	char *argv[7] = { program, e->runroot, (char *)id };
	int fds[4] = { o->interactive ? 0 : -1, 1, 2, -1 };
	size_t n = 3;
	pid_t pid;

	if (r >= 0 && o->detach_keys && !(keys = str_fmt("keys=%s", o->detach_keys)))
		r = -ENOMEM;
	if (r < 0)
		return r;
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys("report pipe");
	if (o->restore)
		argv[n++] = o->hashed ? word_hashed : word_restore;
	if (keys)
		argv[n++] = keys;
	if (!o->attach) {
		argv[n] = word_detached;
		fds[0] = fds[1] = fds[2] = -1;
	}
	fds[3] = pipefd[1];
	r = proc_spawn(path, argv, NULL, fds, 4, &pid, &pidfd);
	fd_close(pipefd[1]);
	if (r < 0) {
		fd_close(pipefd[0]);
		return err(r, "%s: %s", path, strerror(-r));
	}
	ret->report_fd = pipefd[0];
	return 0;
}

/* It can begin while it arrives. */
static int open_image(struct engine *e, const struct run_options *o, struct image **ret)
{
	int r = arriving_open(e->store, o->image, ret);

	return r == -ENOENT ? image_open(e->store, o->image, ret) : r;
}

/*
 * The merged index is made now if it is missing: errors come before anything exists, and the
 * supervisor stays small.
 */
static int create_of_layers(struct engine *e, struct run_spec *spec, struct inst **ret)
{
	struct stack stack;
	int r = stack_open_arriving(e->store, spec->layers, spec->nlayers, &stack);

	if (r < 0)
		return r;
	r = create_instance(e, spec, &stack, ret);
	stack_close(&stack);
	return r;
}

/* Everything up to the supervisor. */
static int make_instance(struct engine *e, const struct run_options *o, struct inst **ret)
{
	_cleanup_(image_closep) struct image *image = NULL;
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	int r = need_root(o);

	if (r >= 0)
		r = open_image(e, o, &image);
	if (r >= 0)
		r = check_platform(o, image);
	if (r >= 0)
		r = spec_new(o, image, &spec);
	if (r >= 0)
		r = prepare_kind(e, o, spec);
	if (r < 0)
		return r;
	r = create_of_layers(e, spec, ret);
	if (r != -ENOENT)
		return r;
	/* Another may have removed the image meanwhile, which is said so; or pulled it again. */
	image_close(take_ptr(image));
	r = open_image(e, o, &image);
	return r < 0 ? r : create_of_layers(e, spec, ret);
}

int engine_create(struct engine *e, const struct run_options *o, char ret_id[INST_ID_LEN + 1])
{
	struct inst *inst = NULL;
	int r = make_instance(e, o, &inst);

	if (r < 0)
		return r;
	snprintf(ret_id, INST_ID_LEN + 1, "%s", inst_id(inst));
	inst_close(inst);
	return 0;
}

int engine_start(struct engine *e, const char *id_or_name, const struct start_options *o,
		 bool *ret_tty, struct run *ret)
{
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	_cleanup_(inst_closep) struct inst *i = NULL;
	struct inst_state state;
	int r = engine_find(e, id_or_name, &i, &spec);

	if (r >= 0)
		r = inst_state(i, &state);
	if (r < 0)
		return r;
	if (state.status == INST_RUNNING || state.status == INST_PAUSED)
		return err(-EALREADY, "%s is %s", id_or_name, inst_status_name(state.status));
	if (geteuid() != 0 && !spec->unprivileged)
		return err(-EPERM, "start %s needs root", id_or_name);
	if (o->restore && !checkpoint_exists(e->store, inst_id(i)))
		return err(-ENOENT, "%s has no checkpoint to go on from", id_or_name);
	/* What a killed supervisor left of its last life. */
	r = inst_recover(i);
	if (r >= 0)
		bridge_recover(e->runroot, inst_id(i));
	if (r >= 0)
		r = spawn_monitor(e, inst_id(i), o, ret);
	if (r < 0)
		return r;
	*ret_tty = spec->tty;
	ret->inst = take_ptr(i);
	return 0;
}

int engine_run(struct engine *e, const struct run_options *o, struct run *ret)
{
	const struct start_options start = { .attach = !o->detach,
					     .interactive = o->interactive,
					     .detach_keys = o->detach_keys };
	struct inst *inst = NULL;
	int r = make_instance(e, o, &inst);

	if (r < 0)
		return r;
	r = spawn_monitor(e, inst_id(inst), &start, ret);
	if (r < 0) {
		undo_instance(e, inst);
		return r;
	}
	ret->inst = inst;
	return 0;
}

int run_next(struct run *r, struct run_report *ret)
{
	ssize_t n = read(r->report_fd, ret, sizeof(*ret));

	if (n < 0)
		return -errno;
	return n == sizeof(*ret);
}

void run_done(struct run *r)
{
	fd_close(r->report_fd);
	inst_close(r->inst);
	*r = (struct run){ .report_fd = -1 };
}
