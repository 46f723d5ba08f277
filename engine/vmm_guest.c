/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vmm_guest.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "engine/checkpoint.h"
#include "engine/etc_files.h"
#include "network/network.h"
#include "engine/passt.h"
#include "engine/spec_process.h"
#include "engine/spec_tmpfs.h"
#include "engine/vmm.h"
#include "engine/vmm_machine.h"
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

int vmm_guest_identity(const struct run_spec *s, uint64_t loaded_ns, struct vm_guest_identity *ret)
{
	struct timespec t;

	*ret = (struct vm_guest_identity){ 0 };
	clock_gettime(CLOCK_REALTIME, &t);
	ret->time_ns =
		(uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec - (clock_ns() - loaded_ns);
	network_mac(s->id, ret->mac);
	return getrandom(ret->entropy, sizeof(ret->entropy), 0) == sizeof(ret->entropy) ?
		       0 :
		       err_sys("random numbers");
}

/* machine-id(5): one that is kept nowhere but where it is from. */
static struct digest machine_id(const struct run_spec *s)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "machine-id of %.32s", s->id);

	return sha256_of(text, (size_t)n);
}

int vmm_guest_restored(const struct run_spec *s, const struct digest *key,
		       const struct vm_guest_identity *identity, struct vm_control *control)
{
	struct digest own = checkpoint_key(s->id), id = machine_id(s);
	struct vm_guest_identity i = *identity;
	char host[SPEC_HOSTNAME_ROOM];
	int r;

	if (digest_eq(key, &own))
		return vm_control_restored(control, identity);
	if (!spec_has_eth0(s))
		memset(i.mac, 0, sizeof(i.mac));
	r = vm_control_cloned(control, &i, spec_hostname(s, host), id.b);
	explicit_bzero(&i, sizeof(i));
	return r;
}

static struct vm_guest_net guest_net(const struct run_spec *s)
{
	struct vm_guest_net n = { .address = PASST_ADDRESS,
				  .gateway = PASST_GATEWAY,
				  .prefix = PASST_PREFIX,
				  .mtu = PASST_MTU };

	if (!s->bridge_network)
		return n;
	memcpy(n.address, s->address, sizeof(n.address));
	memcpy(n.gateway, s->gateway, sizeof(n.gateway));
	n.prefix = (uint8_t)s->prefix;
	n.mtu = NETWORK_MTU;
	return n;
}

static size_t guest_rlimits(const struct run_spec *s, struct vm_guest_rlimit *ret)
{
	for (size_t i = 0; i < s->nrlimits; i++)
		ret[i] = (struct vm_guest_rlimit){ s->rlimits[i].resource, s->rlimits[i].soft,
						   s->rlimits[i].hard };
	return s->nrlimits;
}

/* The bridge's resolver is the host's first, if there is one; the user network's its own. */
static int make_etc(const struct run_spec *s, const struct vm_guest_net *net, struct etc_files *ret)
{
	static const uint8_t user[] = PASST_DNS, none[4];
	const uint8_t *dns = s->bridge_network ? s->dns : user;
	char text[64];

	snprintf(text, sizeof(text), "nameserver %u.%u.%u.%u\n", dns[0], dns[1], dns[2], dns[3]);
	return etc_files_make(s, net && memcmp(dns, none, sizeof(none)) != 0 ? text : NULL,
			      net ? net->address : NULL, net ? net->gateway : NULL, ret);
}

static struct vm_guest_volume tmpfs_of(const struct run_tmpfs *t)
{
	return (struct vm_guest_volume){ .target = t->target,
					 .rdonly = t->rdonly,
					 .size = t->size,
					 .mode = t->mode,
					 .exec = t->exec,
					 .suid = t->suid };
}

static struct vm_guest_volume volume_of(const struct run_spec *s, const struct place *p,
					struct vmm_tag *tag)
{
	const bool disk = p->kind == PLACE_DISK;

	if (p->kind == PLACE_TMPFS)
		return tmpfs_of(&s->tmpfs[p->i]);
	if (disk)
		snprintf(tag->s, sizeof(tag->s), "/dev/vd%c", (char)('a' + p->i));
	else
		*tag = vmm_volume_tag(1 + p->i);
	return (struct vm_guest_volume){ .tag = tag->s,
					 .target = p->target,
					 .rdonly = (disk ? s->disks : s->volumes)[p->i].rdonly };
}

int vmm_guest_config(const struct run_spec *s, const struct vm_guest_identity *identity,
		     struct vm_control *control)
{
	_free_ struct place *places = NULL;
	const ssize_t n = spec_places(s, &places);
	_free_ struct vm_guest_volume *volumes = mem_new((size_t)MAX(n, 0), sizeof(*volumes));
	_free_ struct vmm_tag *tags = mem_new((size_t)MAX(n, 0), sizeof(*tags));
	const struct vm_guest_net net = guest_net(s);
	struct vm_guest_rlimit rlimits[SPEC_RLIMITS_MAX];
	_cleanup_(etc_files_done) struct etc_files etc = { 0 };
	struct vm_guest_file files[ETC_FILES_MAX];
	char host[SPEC_HOSTNAME_ROOM];
	struct vm_guest_config cfg = { .root = VMM_ROOT_TAG,
				       .root_rdonly = s->read_only,
				       .argv = s->argv,
				       .env = s->env,
				       .cwd = s->cwd,
				       .user = s->user,
				       .hostname = spec_hostname(s, host),
				       .tty = s->tty,
				       .stdin_open = s->interactive || s->tty,
				       .volumes = volumes,
				       .shm = s->shm_size,
				       .shm_size = s->shm_size == SPEC_SHM_ANY ? 0 : s->shm_size,
				       .files = files,
				       .net = spec_has_eth0(s) ? &net : NULL,
				       .identity = identity,
				       .rlimits = rlimits,
				       .nrlimits = guest_rlimits(s, rlimits),
				       .caps_drop = ~spec_caps(s, UINT64_MAX),
				       .pids = (uint32_t)s->limits.pids };

	if (n < 0 || !volumes || !tags || make_etc(s, cfg.net, &etc) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < etc.n; i++)
		files[cfg.nfiles++] =
			(struct vm_guest_file){ etc.files[i].path, etc.files[i].text };
	for (; cfg.nvolumes < (size_t)n; cfg.nvolumes++)
		volumes[cfg.nvolumes] = volume_of(s, &places[cfg.nvolumes], &tags[cfg.nvolumes]);
	return vm_control_config(control, &cfg);
}
