/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/virtio/driver.h"

#include <pthread.h>

#define DESCS 3 /* a request: what is asked, and two pieces of reply */

struct server {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned calls, inside, most;
	bool hold; /* until two are inside */
	ssize_t result;
};

/* Answers with the request turned round by one. */
static ssize_t serve(void *ctx, const struct iovec *in, int nin, const struct iovec *out, int nout)
{
	struct server *s = ctx;

	pthread_mutex_lock(&s->lock);
	s->calls++;
	s->inside++;
	s->most = MAX(s->most, s->inside);
	pthread_cond_broadcast(&s->cond);
	while (s->hold && s->most < 2)
		pthread_cond_wait(&s->cond, &s->lock);
	s->inside--;
	pthread_mutex_unlock(&s->lock);
	if (s->result)
		return s->result;
	if (nin != 1 || nout != 2 || out[0].iov_len != 4)
		return -EINVAL;
	memset(out[0].iov_base, ((const char *)in[0].iov_base)[0] + 1, 4);
	memset(out[1].iov_base, '!', 2);
	return 6;
}

struct fixture {
	struct driver d;
	struct server s;
};

static struct fixture *start(unsigned queues, unsigned threads)
{
	struct fixture *f = new0(struct fixture);
	struct virtio_fs_config cfg = {
		.tag = "tag",
		.serve = serve,
		.ctx = &f->s,
		.queues = queues,
		.threads = threads,
	};

	pthread_mutex_init(&f->s.lock, NULL);
	pthread_cond_init(&f->s.cond, NULL);
	driver_init(&f->d);
	assert_ok(virtio_fs_new(&cfg, &f->d.bus, 0xd0000000, 1, &f->d.m));
	return f;
}

static void end(struct fixture *f)
{
	driver_done(&f->d);
	pthread_cond_destroy(&f->s.cond);
	pthread_mutex_destroy(&f->s.lock);
	free(f);
}

/* Puts request number @n on queue @i: its buffer. */
static uint64_t request(struct fixture *f, unsigned i, unsigned n)
{
	struct ring *r = &f->d.rings[i];
	uint64_t a = driver_alloc(&f->d, 16);
	unsigned h = n * DESCS % (r->num - DESCS);

	*(char *)driver_at(&f->d, a) = (char)('a' + n % 26);
	ring_desc_set(&f->d, r, h, a, 1, DESC_F_NEXT, h + 1);
	ring_desc_set(&f->d, r, h + 1, a + 4, 4, DESC_F_NEXT | DESC_F_WRITE, h + 2);
	ring_desc_set(&f->d, r, h + 2, a + 8, 8, DESC_F_WRITE, 0);
	ring_publish(&f->d, r, (uint16_t)h);
	return a;
}

static void config(_unused_ void **state)
{
	struct fixture *f = start(3, 1);
	char tag[VIRTIO_FS_TAG_MAX];

	for (unsigned i = 0; i < sizeof(tag); i++)
		virtio_mmio_access(f->d.m, R_CONFIG + i, &tag[i], 1, false);
	assert_string_equal(tag, "tag");
	assert_int_equal(reg_get(&f->d, R_CONFIG + VIRTIO_FS_TAG_MAX), 3);
	end(f);
}

static void bad_tags(_unused_ void **state)
{
	struct virtio_fs_config cfg = { .tag = "", .serve = serve };
	struct virtio_mmio *m;
	struct driver d;

	driver_init(&d);
	assert_int_equal(virtio_fs_new(&cfg, &d.bus, 0xd0000000, 1, &m), -EINVAL);
	cfg.tag = "0123456789012345678901234567890123456";
	assert_int_equal(virtio_fs_new(&cfg, &d.bus, 0xd0000000, 1, &m), -EINVAL);
	driver_done(&d);
}

static void one(_unused_ void **state)
{
	struct fixture *f = start(0, 0);
	uint64_t a;

	driver_start(&f->d, VIRTIO_F_EVENT_IDX, 2, 64);
	a = request(f, 1, 0);
	reg_put(&f->d, R_NOTIFY, 1);
	assert_int_equal(driver_take(&f->d, 1).len, 6);
	assert_memory_equal(driver_at(&f->d, a), "a\0\0\0bbbb!!\0", 11);
	request(f, 0, 0); /* the queue of high priority */
	reg_put(&f->d, R_NOTIFY, 0);
	assert_int_equal(driver_take(&f->d, 0).len, 6);
	end(f);
}

static void no_reply_and_dropped(_unused_ void **state)
{
	struct fixture *f = start(1, 1);

	driver_start(&f->d, 0, 2, 64);
	f->s.result = -EINVAL;
	request(f, 1, 0);
	reg_put(&f->d, R_NOTIFY, 1);
	assert_int_equal(driver_take(&f->d, 1).len, 0);
	end(f);
}

/* Two requests are served at the same time though one kick told of both. */
static void side_by_side(_unused_ void **state)
{
	struct fixture *f = start(1, 2);

	driver_start(&f->d, VIRTIO_F_EVENT_IDX, 2, 64);
	f->s.hold = true;
	request(f, 1, 0);
	request(f, 1, 1);
	reg_put(&f->d, R_NOTIFY, 1);
	driver_take(&f->d, 1);
	driver_take(&f->d, 1);
	assert_int_equal(f->s.most, 2);
	end(f);
}

/* Takes eight buffers from each of the request queues. */
static void take_eight(struct fixture *f)
{
	for (unsigned i = 1; i < 3; i++) {
		for (unsigned n = 0; n < 8; n++)
			assert_int_equal(driver_take(&f->d, i).len, 6);
	}
}

static void many(_unused_ void **state)
{
	struct fixture *f = start(2, 4);
	uint64_t buffers;

	driver_start(&f->d, VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC, 3, 64);
	buffers = f->d.free;
	for (unsigned round = 0; round < 250; round++) {
		f->d.free = buffers;
		for (unsigned n = 0; n < 8; n++) {
			request(f, 1, n);
			reg_put(&f->d, R_NOTIFY, 1);
			request(f, 2, n);
			reg_put(&f->d, R_NOTIFY, 2);
		}
		take_eight(f);
	}
	assert_int_equal(f->s.calls, 4000);
	end(f);
}

static void malformed(_unused_ void **state)
{
	struct fixture *f = start(1, 2);

	driver_start(&f->d, 0, 2, 64);
	ring_desc_set(&f->d, &f->d.rings[1], 0, 8, 8, DESC_F_NEXT, 0);
	ring_publish(&f->d, &f->d.rings[1], 0);
	reg_put(&f->d, R_NOTIFY, 1);
	driver_wait_reset(&f->d);
	assert_int_equal(f->s.calls, 0);
	driver_start(&f->d, 0, 2, 64); /* and is as new */
	request(f, 1, 0);
	reg_put(&f->d, R_NOTIFY, 1);
	assert_int_equal(driver_take(&f->d, 1).len, 6);
	end(f);
}

static void reset_while_busy(_unused_ void **state)
{
	struct fixture *f = start(1, 2);

	for (int i = 0; i < 50; i++) {
		f->d.free = RAM_GPA;
		memset(f->d.ram, 0, RAM_SIZE);
		driver_start(&f->d, VIRTIO_F_EVENT_IDX, 2, 64);
		for (unsigned n = 0; n < 8; n++)
			request(f, 1, n);
		reg_put(&f->d, R_NOTIFY, 1);
		reg_put(&f->d, R_STATUS, 0);
	}
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config),	cmocka_unit_test(bad_tags),
		cmocka_unit_test(one),		cmocka_unit_test(no_reply_and_dropped),
		cmocka_unit_test(side_by_side), cmocka_unit_test(many),
		cmocka_unit_test(malformed),	cmocka_unit_test(reset_while_busy),
	};

	return cmocka_run_group_tests_name("virtio/fs", tests, NULL, NULL);
}
