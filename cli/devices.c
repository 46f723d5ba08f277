/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/devices.h"

#include "base/json.h"
#include "base/str.h"

/* A number that is not known is left out. */
static json_t *known_number(uint64_t n)
{
	return n == UINT64_MAX ? NULL : json_integer((json_int_t)n);
}

static json_t *fs_json(const struct device_stats *d, const json_t *config)
{
	const json_t *volumes = json_get_array(config, "volumes");
	json_t *a = json_array();

	for (size_t i = 0; i < d->nfs; i++) {
		const struct device_fs *f = &d->fs[i];
		const char *target = i ? json_get_str(json_array_get(volumes, i - 1), "target") :
					 "/";

		json_array_append_new(a, json_pack("{s:s*, s:I, s:I, s:I}", "target", target,
						   "requests", (json_int_t)f->requests, "inBytes",
						   (json_int_t)f->in_bytes, "outBytes",
						   (json_int_t)f->out_bytes));
	}
	return a;
}

static json_t *disks_json(const struct device_stats *d, const json_t *config)
{
	const json_t *disks = json_get_array(config, "disks");
	json_t *a = json_array();

	for (size_t i = 0; i < d->ndisks; i++) {
		const struct device_disk *k = &d->disks[i];
		const char *path = json_get_str(json_array_get(disks, i), "source");

		json_array_append_new(
			a, json_pack("{s:s*, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "path", path,
				     "reads", (json_int_t)k->reads, "readBytes",
				     (json_int_t)k->read_bytes, "writes", (json_int_t)k->writes,
				     "writeBytes", (json_int_t)k->write_bytes, "flushes",
				     (json_int_t)k->flushes, "discards", (json_int_t)k->discards,
				     "errors", (json_int_t)k->errors));
	}
	return a;
}

static json_t *net_json(const struct device_net *n)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "inFrames", (json_int_t)n->in_frames,
			 "inBytes", (json_int_t)n->in_bytes, "outFrames", (json_int_t)n->out_frames,
			 "outBytes", (json_int_t)n->out_bytes, "dropped", (json_int_t)n->dropped);
}

static json_t *vsock_json(const struct device_vsock *v)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "connections", (json_int_t)v->connections,
			 "inBytes", (json_int_t)v->in_bytes, "outBytes", (json_int_t)v->out_bytes,
			 "refused", (json_int_t)v->refused);
}

static json_t *balloon_json(const struct device_balloon *b)
{
	return json_pack("{s:I, s:I, s:o*, s:o*}", "total", (json_int_t)b->total, "ballooned",
			 (json_int_t)b->ballooned, "reported", known_number(b->reported),
			 "available", known_number(b->available));
}

json_t *devices_json(const struct device_stats *d, const json_t *config)
{
	json_t *j = json_pack("{s:o}", "fs", fs_json(d, config));

	if (j && (d->known & DEVICE_DISKS))
		json_object_set_new(j, "disks", disks_json(d, config));
	if (j && (d->known & DEVICE_NET))
		json_object_set_new(j, "net", net_json(&d->net));
	if (j && (d->known & DEVICE_VSOCK))
		json_object_set_new(j, "vsock", vsock_json(&d->vsock));
	if (j && (d->known & DEVICE_BALLOON))
		json_object_set_new(j, "balloon", balloon_json(&d->balloon));
	if (j && (d->known & DEVICE_CONSOLE))
		json_object_set_new(j, "console",
				    json_pack("{s:I, s:I}", "inBytes",
					      (json_int_t)d->console.in_bytes, "outBytes",
					      (json_int_t)d->console.out_bytes));
	if (j && (d->known & DEVICE_RNG))
		json_object_set_new(j, "rng",
				    json_pack("{s:I}", "bytes", (json_int_t)d->rng_bytes));
	return j;
}

struct device_io devices_block_io(const struct device_stats *d)
{
	struct device_io io = { 0 };

	for (size_t i = 0; i < d->ndisks; i++) {
		io.in += d->disks[i].read_bytes;
		io.out += d->disks[i].write_bytes;
	}
	return io;
}

struct device_io devices_net_io(const struct device_stats *d)
{
	return (struct device_io){ d->net.in_bytes, d->net.out_bytes };
}

json_t *device_io_json(struct device_io io)
{
	return json_pack("{s:I, s:I}", "input", (json_int_t)io.in, "output", (json_int_t)io.out);
}

struct device_io_text device_io_text(struct device_io io)
{
	struct device_io_text t;

	snprintf(t.s, sizeof(t.s), "%s / %s", str_human(io.in).s, str_human(io.out).s);
	return t;
}
