/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document of a registry: the input is read as a manifest, as a config, as an index of platforms
 * and as what a signature is over. What is told of it is one printable line; what is taken is
 * within its bounds.
 */
#include "imagestore/platform.h"
#include "imagestore/registry/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void as_manifest(json_t *doc)
{
	struct image *i = new0(struct image);

	if (!i)
		return;
	if (manifest_parse(doc, i) == 0) {
		must(i->nlayers <= LAYERS_MAX);
		i->config = json_incref(doc);
		if (config_parse(i) == 0)
			must(i->nlayers == 0 || json_object_get(doc, "rootfs"));
	}
	err_clear();
	image_close(i);
}

static void as_index(const json_t *doc)
{
	const json_t *list = json_get_array(doc, "manifests"), *entry;
	struct platform want, have;

	platform_parse("linux/arm/v7", &want);
	entry = platform_choose(list, &want);
	must(!entry || platform_entry_fits(entry, &want));
	for (const char *c = platform_offers(list).s; *c; c++)
		must((unsigned char)*c >= ' ');
	if (platform_of(doc, &have))
		must(*have.os || *have.arch || platform_text(&have).s[0]);
	platform_check_config(&want, doc, "x");
	err_clear();
}

/* For no digest of this world, so it must be refused. */
static void as_payload(const uint8_t *data, size_t size)
{
	const struct signed_thing t = { .host = "host", .repo = "a/b", .tag = "1" };

	must(signature_payload_check(data, size, &t) < 0 ||
	     memmem(data, size, "sha256:0000000000000000", 23));
	err_clear();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_json_ json_t *doc = NULL;

	as_payload(data, size);
	if (json_parse((const char *)data, size, "document", &doc) == 0) {
		as_manifest(doc);
		as_index(doc);
	}
	err_clear();
	return 0;
}
