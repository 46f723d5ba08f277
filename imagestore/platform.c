/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/platform.h"

#include "base/buf.h"
#include <ctype.h>

#define OFFERS_MAX 8 /* named in a message */

/* ---- names ---- */

/* Other words for architectures, as the field takes them (containerd's platforms package). */
static const struct {
	const char *said, *arch, *variant;
} aliases[] = {
	{ "x86_64", "amd64", "" }, { "x86-64", "amd64", "" }, { "aarch64", "arm64", "" },
	{ "i386", "386", "" },	   { "i686", "386", "" },     { "armhf", "arm", "v7" },
	{ "armel", "arm", "v6" },
};

/* Variants that a platform has when it names none (OCI image-spec, image-index.md, "variant"). */
static const struct {
	const char *arch;
	unsigned level;
} defaults[] = {
	{ "amd64", 1 },
	{ "arm64", 8 },
	{ "arm", 7 },
};

static void normalise(struct platform *p)
{
	char digits[sizeof(p->variant)];

	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
		if (!streq(p->arch, aliases[i].said))
			continue;
		str_copy(p->arch, sizeof(p->arch), aliases[i].arch);
		if (!*p->variant)
			str_copy(p->variant, sizeof(p->variant), aliases[i].variant);
	}
	if (isdigit((unsigned char)*p->variant) && strlen(p->variant) < sizeof(digits) - 1) {
		str_copy(digits, sizeof(digits), p->variant);
		snprintf(p->variant, sizeof(p->variant), "v%.*s", (int)sizeof(digits) - 2, digits);
	}
}

static unsigned default_level(const char *arch)
{
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		if (streq(arch, defaults[i].arch))
			return defaults[i].level;
	}
	return 0;
}

static bool word(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return n && !s[n] && isalnum((unsigned char)*s);
}

/* @text is changed. */
static int parse(char *text, struct platform *p)
{
	char *second = strchr(text, '/'), *third = second ? strchr(second + 1, '/') : NULL;
	const char *arch = second ? second + 1 : streq(text, "linux") ? p->arch : text;

	if (second)
		*second = '\0';
	if (third)
		*third++ = '\0';
	if ((second && str_copy(p->os, sizeof(p->os), text) < 0) ||
	    (arch != p->arch && str_copy(p->arch, sizeof(p->arch), arch) < 0) ||
	    (third && str_copy(p->variant, sizeof(p->variant), third) < 0))
		return -EINVAL;
	return word(p->os) && word(p->arch) && (!third || word(p->variant)) ? 0 : -EINVAL;
}

int platform_parse(const char *text, struct platform *ret)
{
	_free_ char *copy = strdup(text);
	struct platform p = platform_of_host();
	char shown[96];

	if (!copy)
		return -ENOMEM;
	if (parse(copy, &p) < 0) {
		str_printable(shown, sizeof(shown), text);
		return err(-EINVAL,
			   "platform '%s': must be OS/ARCH[/VARIANT], as in linux/arm64 or "
			   "linux/arm/v7",
			   shown);
	}
	normalise(&p);
	*ret = p;
	return 0;
}

struct platform_text platform_text(const struct platform *p)
{
	struct platform_text t;

	snprintf(t.s, sizeof(t.s), "%s/%s%s%s", p->os, p->arch, *p->variant ? "/" : "", p->variant);
	return t;
}

struct platform platform_of_host(void)
{
	return (struct platform){ .os = "linux", .arch = "amd64" };
}

bool platform_runs_here(const struct platform *p)
{
	return streq(p->os, "linux") && (streq(p->arch, "amd64") || streq(p->arch, "386"));
}

bool platform_of(const json_t *j, struct platform *ret)
{
	const char *os = json_get_str(j, "os"), *arch = json_get_str(j, "architecture"),
		   *variant = json_get_str(j, "variant");

	*ret = platform_of_host();
	if (!arch && !os)
		return false;
	/* What is too long for a name is no platform of anybody's. */
	if ((os && str_copy(ret->os, sizeof(ret->os), os) < 0) ||
	    str_copy(ret->arch, sizeof(ret->arch), arch ? arch : ret->arch) < 0 ||
	    (variant && str_copy(ret->variant, sizeof(ret->variant), variant) < 0))
		*ret = (struct platform){ .os = "unknown", .arch = "unknown" };
	normalise(ret);
	return true;
}

/* ---- fitting ---- */

/* "v7" is 7, none the architecture's usual; -1: another word. */
static int level(const struct platform *p)
{
	uint64_t n;

	if (!*p->variant)
		return (int)default_level(p->arch);
	return *p->variant == 'v' && str_u64(p->variant + 1, 0, 99, &n) == 0 ? (int)n : -1;
}

/* 0: it does not fit; else the more the better. */
static int fit(const struct platform *want, const struct platform *have)
{
	int w = level(want), h = level(have);

	if (!streq(want->os, have->os) || !streq(want->arch, have->arch))
		return 0;
	if (w < 0 || h < 0)
		return streq(want->variant, have->variant);
	return h <= w ? h + 1 : 0;
}

bool platform_fits(const struct platform *want, const struct platform *have)
{
	return fit(want, have) > 0;
}

/* 1: it does not say. */
static int entry_fit(const json_t *entry, const struct platform *want)
{
	struct platform have;
	int f;

	if (!platform_of(json_get_object(entry, "platform"), &have))
		return 1;
	f = fit(want, &have);
	return f ? f + 1 : 0;
}

bool platform_entry_fits(const json_t *entry, const struct platform *want)
{
	return entry_fit(entry, want) > 0;
}

const json_t *platform_choose(const json_t *manifests, const struct platform *want)
{
	const json_t *best = NULL;
	int most = 0;

	for (size_t i = 0; i < json_array_size(manifests); i++) {
		const json_t *entry = json_array_get(manifests, i);
		int f = entry_fit(entry, want);

		if (f > most) {
			most = f;
			best = entry;
		}
	}
	return best;
}

struct platform_offers platform_offers(const json_t *manifests)
{
	struct platform_offers o = { 0 };
	_buf_done_ struct buf b = { 0 };
	size_t n = 0, named = 0;

	for (size_t i = 0; i < json_array_size(manifests); i++) {
		const json_t *entry = json_array_get(manifests, i);
		struct platform p;

		/* An attestation of another entry is for "unknown" (BuildKit). */
		if (!platform_of(json_get_object(entry, "platform"), &p) || streq(p.os, "unknown"))
			continue;
		if (n++ >= OFFERS_MAX)
			continue;
		buf_addf(&b, "%s%s", named++ ? ", " : "", platform_text(&p).s);
	}
	if (n > named)
		buf_addf(&b, " and %zu more", n - named);
	str_printable(o.s, sizeof(o.s), n && b.data ? b.data : "none by name");
	return o;
}

/* A variant that the config leaves out is not missed: the index has chosen by its own. */
int platform_check_config(const struct platform *want, const json_t *config, const char *where)
{
	struct platform have, asked = *want;
	char shown[128];

	if (!platform_of(config, &have))
		return 0;
	if (!*have.variant)
		asked.variant[0] = '\0';
	if (fit(&asked, &have))
		return 0;
	str_printable(shown, sizeof(shown), platform_text(&have).s);
	return err(-EBADMSG, "%s: an image for %s, not for %s: --platform takes it", where, shown,
		   platform_text(want).s);
}
