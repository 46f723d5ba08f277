/* SPDX-License-Identifier: Apache-2.0 */
/* A stored image for another VMM: the union over a vhost-user socket, in this process. */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "engine/layers.h"
#include "engine/top.h"
#include "unionfs/unionfs.h"
#include "virtio/virtio.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct serving {
	struct engine *e;
	struct stack stack;
	char id[INST_ID_LEN + 1]; /* of the top; "" = none */
	int objects_fd, lock_fd, upper_fd, work_fd, listen_fd;
	struct ufs *u;
	struct ufs_conn *conn; /* of the front end that is there */
	struct vhost_user *back_end;
};

static ssize_t serve(void *ctx, const struct iovec *in, int nin, const struct iovec *out, int nout)
{
	return ufs_serve(((struct serving *)ctx)->conn, in, nin, out, nout);
}

/* ---- the union ---- */

static int open_layers(struct serving *s, const struct image *image)
{
	struct digest *ids = mem_new(image->nlayers, sizeof(*ids));
	struct stack stack;
	int r;

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < image->nlayers; i++)
		ids[i] = image->layers[i].diff_id;
	r = stack_open(s->e->store, ids, image->nlayers, &stack);
	if (r >= 0) {
		s->stack = stack;
		r = stack_open_sums(s->e->store, &s->stack);
	}
	/*
	 * Without a config of its own, whoever looks for leftovers removes it once it is unlocked.
	 */
	if (r >= 0 && s->id[0]) {
		_close_ int making = snapshots_lock(s->e, false);

		r = making < 0 ?
			    making :
			    top_create(s->e->store, s->id, ids, image->nlayers, &s->stack, true);
		if (r >= 0)
			r = snapshot_open(s->e->store, s->id, &s->lock_fd, &s->upper_fd,
					  &s->work_fd);
	}
	free(ids);
	return r;
}

static int open_union(struct serving *s)
{
	struct ufs_lower lower = layers_lower(&s->stack, &s->objects_fd);
	struct ufs_config cfg = { .lowers = &lower,
				  .nlowers = 1,
				  .upper_fd = s->upper_fd,
				  .work_fd = s->work_fd,
				  .upper = s->id[0] ? UFS_UPPER_MAPPED : UFS_UPPER_NONE,
				  .metacopy = true,
				  .redirect = UFS_REDIRECT_ON,
				  .is_volatile = true };

	s->objects_fd = layers_open_objects(s->e->store);
	return s->objects_fd < 0 ? s->objects_fd : ufs_new(&cfg, &s->u);
}

/* ---- the socket ---- */

/* Of a server that was killed: nobody answers there. */
static void remove_stale(const struct sockaddr_un *a)
{
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd >= 0 && lstat(a->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 && errno == ECONNREFUSED)
		unlink(a->sun_path);
}

static int open_socket(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mode_t mask;
	int r;

	if (fd < 0)
		return err_sys("socket");
	if (strlen(path) >= sizeof(a.sun_path))
		return err(-ENAMETOOLONG, "%s: the path is too long for a socket", path);
	memcpy(a.sun_path, path, strlen(path));
	remove_stale(&a);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&a, sizeof(a));
	umask(mask);
	if (r < 0 || listen(fd, 1) < 0)
		return err_sys("%s", path);
	return take_fd(fd);
}

/* 1 = a front end was here, 0 = it is time to stop. */
static int serve_one(struct serving *s, int stop_fd)
{
	static const struct ufs_carrier carrier;
	struct pollfd fds[] = { { .fd = s->listen_fd, .events = POLLIN },
				{ .fd = stop_fd, .events = POLLIN } };
	_close_ int sock = -1;
	int r;

	while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		if (errno != EINTR)
			return err_sys("poll");
	if (fds[1].revents)
		return 0;
	sock = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (sock < 0)
		return err_sys("accept");
	s->conn = ufs_conn_new(s->u, &carrier, NULL);
	if (!s->conn)
		return -ENOMEM;
	r = vhost_user_serve(s->back_end, sock, stop_fd);
	ufs_conn_free(s->conn);
	s->conn = NULL;
	return r < 0 ? r : 1;
}

static int serve_all(struct serving *s, bool once, int stop_fd)
{
	int r;

	do {
		r = serve_one(s, stop_fd);
		if (r == -EPROTO && !once) {
			log_warn("%s", err_take(r));
			r = 1;
		}
	} while (r > 0 && !once);
	return r < 0 ? r : 0;
}

static void serving_done(struct serving *s)
{
	vhost_user_free(s->back_end);
	ufs_free(s->u);
	fd_close(s->listen_fd);
	fd_close(s->objects_fd);
	fd_close(s->upper_fd);
	fd_close(s->work_fd);
	fd_close(s->lock_fd);
	stack_close(&s->stack);
	if (s->id[0])
		snapshot_remove(s->e->store, s->id);
}

int engine_serve(struct engine *e, const struct serve_options *o, int stop_fd)
{
	_cleanup_(image_closep) struct image *image = NULL;
	struct serving s = { .e = e,
			     .stack = { .index_fd = -1 },
			     .objects_fd = -1,
			     .lock_fd = -1,
			     .upper_fd = -1,
			     .work_fd = -1,
			     .listen_fd = -1 };
	struct virtio_fs_config cfg = { .tag = "strata", .serve = serve, .ctx = &s };
	int r = image_open(e->store, o->image, &image);

	if (r >= 0 && !o->read_only)
		r = inst_new_id(e->runroot_fd, s.id);
	if (r >= 0)
		r = open_layers(&s, image);
	if (r >= 0)
		r = open_union(&s);
	if (r >= 0)
		r = vhost_user_fs_new(&cfg, &s.back_end);
	if (r >= 0)
		r = s.listen_fd = open_socket(o->socket);
	if (r >= 0) {
		r = serve_all(&s, o->once, stop_fd);
		unlink(o->socket);
	}
	serving_done(&s);
	return r;
}
