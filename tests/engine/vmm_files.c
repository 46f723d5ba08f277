/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that is quicker than the opening of what it asks for. */
#include "engine/vmm_files.h"

#include "engine/spec.h"
#include "tests/base/unit.h"
#include <pthread.h>
#include <unistd.h>

static void *ask(void *ctx)
{
	static ssize_t n;
	char message[64] = "", answer[64];
	const struct iovec in = { message, sizeof(message) }, out = { answer, sizeof(answer) };

	n = vmm_files_serve(ctx, &in, 1, &out, 1);
	return &n;
}

/* The machine ends before they were opened: who waits is let go, and who comes later. */
static void ends_unopened(_unused_ void **state)
{
	const struct run_spec spec = { .kind = RUN_VM };
	struct vmm_files *f;
	pthread_t thread;
	void *n;

	assert_ok(vmm_files_new(&spec, false, &f));
	assert_int_equal(pthread_create(&thread, NULL, ask, vmm_files_ctx(f, 0)), 0);
	usleep(20000);
	vmm_files_end(f);
	assert_int_equal(pthread_join(thread, &n), 0);
	assert_int_equal(*(ssize_t *)n, -EIO);
	assert_int_equal(*(ssize_t *)ask(vmm_files_ctx(f, 0)), -EIO);
	vmm_files_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(ends_unopened) };

	alarm(20);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
