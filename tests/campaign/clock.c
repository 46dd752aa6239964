/* The host's clock as somebody sees it who has stepped it: DOMSTATE_CLOCK_STEP seconds are added to it, in whatever
 * process this is loaded into (LD_PRELOAD).
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t step(void)
{
	const char *text = getenv("DOMSTATE_CLOCK_STEP");

	return text ? atol(text) : 0;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	int status = syscall(SYS_clock_gettime, id, now);

	if (status == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		now->tv_sec += step();
	return status;
}

int gettimeofday(struct timeval *now, void *zone)
{
	struct timespec precise;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &precise);
	now->tv_sec = precise.tv_sec;
	now->tv_usec = precise.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *now)
{
	struct timespec precise;

	clock_gettime(CLOCK_REALTIME, &precise);
	if (now)
		*now = precise.tv_sec;
	return precise.tv_sec;
}
