/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The init of the guests that bench/vm starts by QEMU: writes 1 to the port where strata's own init
 * leaves its marks (microvm/guest/protocol.h), runs the command in BENCH_RUN if there is one,
 * writes 6, and turns the machine off by QEMU's isa-debug-exit at the port behind.
 */
#include <stdlib.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT_MARK  0x5d0
#define PORT_END   0x5d1
#define MARK_INIT  1
#define MARK_ENDED 6

int main(void)
{
	char *command = getenv("BENCH_RUN");
	int status = 0;
	pid_t pid;

	if (ioperm(PORT_MARK, 2, 1) < 0)
		reboot(RB_AUTOBOOT);
	outb(MARK_INIT, PORT_MARK);
	if (command) {
		pid = fork();
		if (pid == 0) {
			ioperm(PORT_MARK, 2, 0);
			execl(command, command, (char *)NULL);
			_exit(127);
		}
		if (waitpid(pid, &status, 0) != pid)
			status = 1;
	}
	outb(MARK_ENDED, PORT_MARK);
	outb(status ? 1 : 0, PORT_END);
	reboot(RB_AUTOBOOT);
	return 1;
}
