/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/config.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <ctype.h>
#include <limits.h>
#include <sched.h>

/*
 * Go writes unsigned 64-bit numbers ("unlimited" is 2^64-1), which jansson refuses: one above the
 * largest signed number becomes that.
 */
static void clamp_numbers(char *s, size_t len)
{
	static const char max[] = "9223372036854775807";
	bool string = false;

	for (size_t i = 0; i < len; i++) {
		size_t n = 0;

		if (s[i] == '\\' && string)
			i++;
		else if (s[i] == '"')
			string = !string;
		if (string || !isdigit((unsigned char)s[i]))
			continue;
		while (i + n < len && isdigit((unsigned char)s[i + n]))
			n++;
		if ((n == 20 || (n == 19 && memcmp(s + i, max, 19) > 0)) &&
		    (!i || !strchr("-.eE+", s[i - 1])) && !strchr(".eE", s[i + n])) {
			memset(s + i, ' ', n);
			memcpy(s + i, max, 19);
		}
		i += n - 1;
	}
}

static int parse(const char *text, size_t len, const char *what, struct oci_config **ret)
{
	_cleanup_(oci_config_freep) struct oci_config *c = new0(struct oci_config);
	_free_ char *copy = mem_new(len + 1, 1);
	int r;

	if (!c || !copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	clamp_numbers(copy, len);
	r = json_parse(copy, len, what, &c->doc);
	if (r >= 0 && !json_is_object(c->doc))
		r = err(-EINVAL, "%s: not a JSON object", what);
	if (r < 0)
		return r;
	c->cgroup_mount = -1;
	c->spec = (struct ctr_spec){
		.root_mount = -1,
		.stdio = { 0, 1, 2 },
		.cgroup_fd = -1,
		.given = &c->given,
		.rlimits = c->rlimits,
	};
	c->given.gate = -1;
	c->given.namespaces = c->namespaces;
	*ret = take_ptr(c);
	return 0;
}

/* Any 1.x: what a later minor version adds is passed over. */
static int check_version(struct oci_config *c)
{
	int r = member_str(c->doc, "ociVersion", &c->version);

	if (r < 0)
		return r;
	if (!c->version || !str_after(c->version, "1."))
		return err(-EINVAL, "config: ociVersion %s is not 1.x",
			   c->version ? c->version : "is missing and");
	return 0;
}

static int parse_root(struct oci_config *c)
{
	const json_t *root = NULL;
	int r = member_object(c->doc, "root", &root);

	if (r >= 0)
		r = member_str(root, "path", &c->root);
	if (r >= 0)
		r = member_bool(root, "readonly", &c->spec.root_rdonly);
	if (r >= 0 && (!c->root || !*c->root))
		r = err(-EINVAL, "config: root.path is missing");
	return r;
}

static int parse_names(struct oci_config *c)
{
	int r = member_str(c->doc, "hostname", &c->spec.hostname);

	if (r >= 0)
		r = member_str(c->doc, "domainname", &c->given.domainname);
	if (r < 0)
		return r;
	if (c->spec.hostname && !*c->spec.hostname)
		c->spec.hostname = NULL;
	if (c->given.domainname && !*c->given.domainname)
		c->given.domainname = NULL;
	if (!c->spec.hostname && !c->given.domainname)
		return 0;
	c->written |= CLONE_NEWUTS;
	if (!config_has_namespace(c, CLONE_NEWUTS, false))
		return err(-EINVAL, "config: a hostname without a uts namespace");
	return 0;
}

static int parse_rest(struct oci_config *c)
{
	const json_t *part = NULL;
	int r = member_object(c->doc, "annotations", &c->annotations);

	if (r >= 0)
		r = member_object(c->doc, "hooks", &c->hooks);
	if (r >= 0)
		r = member_object(c->doc, "process", &part);
	if (r >= 0 && !part)
		r = err(-EINVAL, "config: process is missing");
	if (r >= 0)
		r = config_process(c, part);
	return r;
}

int oci_config_parse(const char *text, size_t len, struct oci_config **ret)
{
	_cleanup_(oci_config_freep) struct oci_config *c = NULL;
	const json_t *linux_ = NULL, *mounts = NULL;
	int r = parse(text, len, "config.json", &c);

	if (r >= 0)
		r = check_version(c);
	if (r >= 0)
		r = parse_root(c);
	if (r >= 0)
		r = member_object(c->doc, "linux", &linux_);
	if (r >= 0)
		r = config_linux(c, linux_);
	if (r >= 0)
		r = parse_names(c);
	if (r >= 0)
		r = parse_rest(c);
	if (r >= 0)
		r = member_array(c->doc, "mounts", &mounts);
	if (r >= 0)
		r = config_mounts(c, mounts);
	if (r < 0)
		return r;
	*ret = take_ptr(c);
	return 0;
}

int oci_config_read(int bundle, const char *name, struct oci_config **ret)
{
	_free_ char *text = NULL;
	size_t len;
	int r = file_read_all(bundle, name, JSON_MAX, &text, &len);

	return r < 0 ? err(r, "%s: %s", name, strerror(-r)) : oci_config_parse(text, len, ret);
}

int oci_process_parse(const char *text, size_t len, struct oci_config **ret)
{
	_cleanup_(oci_config_freep) struct oci_config *c = NULL;
	int r = parse(text, len, "process", &c);

	if (r >= 0)
		r = config_process(c, c->doc);
	if (r < 0)
		return r;
	*ret = take_ptr(c);
	return 0;
}

void oci_config_free(struct oci_config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->given.nnamespaces; i++) {
		if (c->paths[i])
			fd_close(c->namespaces[i].fd);
	}
	fd_close(c->spec.root_mount);
	fd_close(c->spec.cgroup_fd);
	json_decref(c->doc);
	keep_done(&c->mem);
	free(c);
}
