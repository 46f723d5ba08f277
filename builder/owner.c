/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/owner.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"

#define ACCOUNTS_MAX (4u << 20)	 /* bytes of a passwd or group file */
#define ID_MAX	     4294967294u /* -1 means "leave it" to chown(2) */

/* The image's file, or -errno; anything but a regular file could keep us waiting. */
static int read_accounts(int root_fd, const char *path, char **ret)
{
	_close_ int fd = fd_open_in_root(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;
	size_t len;
	int r;

	if (fd < 0)
		return err(fd, "/%s of the image: %s", path, strerror(-fd));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err(-EINVAL, "/%s of the image is no file", path);
	r = fd_read_all(fd, ACCOUNTS_MAX, ret, &len);
	return r < 0 ? err(r, "/%s of the image: %s", path, strerror(-r)) : 0;
}

/* Field @n, from 0, of a line of fields between colons. */
static bool field_number(const char *line, unsigned n, uint32_t *ret)
{
	_free_ char *field = NULL;
	uint64_t value;

	while (n--) {
		line += strcspn(line, ":\n");
		if (*line++ != ':')
			return false;
	}
	field = strndup(line, strcspn(line, ":\n"));
	if (!field || str_u64(field, 0, ID_MAX, &value) < 0)
		return false;
	*ret = value;
	return true;
}

/* The line of @name: "name:". */
static const char *find_line(const char *text, const char *name)
{
	while (text && *text) {
		const char *rest = str_after(text, name);

		if (rest && *rest == ':')
			return text;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return NULL;
}

static int find_user(int root_fd, const char *name, struct owner *ret)
{
	_free_ char *text = NULL;
	int r = read_accounts(root_fd, "etc/passwd", &text);
	const char *line = r < 0 ? NULL : find_line(text, name);

	if (r < 0)
		return r;
	if (!line || !field_number(line, 2, &ret->uid) || !field_number(line, 3, &ret->gid))
		return err(-ENOENT, "user '%s' is not in the image's /etc/passwd", name);
	return 0;
}

static int find_group(int root_fd, const char *name, gid_t *ret)
{
	_free_ char *text = NULL;
	int r = read_accounts(root_fd, "etc/group", &text);
	const char *line = r < 0 ? NULL : find_line(text, name);

	if (r < 0)
		return r;
	if (!line || !field_number(line, 2, ret))
		return err(-ENOENT, "group '%s' is not in the image's /etc/group", name);
	return 0;
}

int owner_parse(int root_fd, const char *text, struct owner *ret)
{
	_free_ char *user = strndup(text, strcspn(text, ":"));
	const char *group = strchr(text, ':');
	struct owner o;
	uint64_t n;
	int r = 0;

	if (!user)
		return -ENOMEM;
	if (!*user || (group && !group[1]))
		return err(-EINVAL, "--chown=%s: expected USER[:GROUP]", text);
	if (str_u64(user, 0, ID_MAX, &n) == 0)
		o = (struct owner){ n, n };
	else
		r = find_user(root_fd, user, &o);
	if (r == 0 && group) {
		if (str_u64(group + 1, 0, ID_MAX, &n) == 0)
			o.gid = n;
		else
			r = find_group(root_fd, group + 1, &o.gid);
	}
	if (r == 0)
		*ret = o;
	return r;
}
