/* SPDX-License-Identifier: Apache-2.0 */
/* The calendar is computed here: gmtime_r(3) and timegm(3) read /etc/localtime, also for UTC. */
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#define DAY	      86400
#define YEAR_0000     (-62167219200) /* 0000-01-01T00:00:00Z in seconds after the epoch */
#define YEAR_9999_END 253402300799   /* 9999-12-31T23:59:59Z */

struct date {
	int year, month, day; /* month and day from 1 */
};

/*
 * Days after 1970-01-01; the year begins in March, so that the leap day is its last (H. Hinnant,
 * chrono).
 */
static int64_t date_days(struct date d)
{
	int64_t y = d.month <= 2 ? d.year - 1 : d.year;
	int64_t era = (y >= 0 ? y : y - 399) / 400, year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (d.month > 2 ? d.month - 3 : d.month + 9) + 2) / 5 + d.day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

static struct date date_of_days(int64_t days)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9;

	return (struct date){
		.year = (int)(yoe + era * 400 + (month <= 2)),
		.month = (int)month,
		.day = (int)(doy - (153 * mp + 2) / 5 + 1),
	};
}

struct clock_text clock_text(struct timespec t)
{
	int64_t s = t.tv_sec < YEAR_0000     ? YEAR_0000 :
		    t.tv_sec > YEAR_9999_END ? YEAR_9999_END :
					       t.tv_sec;
	int64_t days = s / DAY - (s % DAY < 0);
	unsigned int of_day = (unsigned int)(s - days * DAY) % DAY,
		     ns = (unsigned int)(t.tv_nsec % 1000000000);
	struct date d = date_of_days(days);
	struct clock_text text;

	snprintf(text.s, sizeof(text.s), "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ", d.year % 10000u,
		 d.month % 100u, d.day % 100u, of_day / 3600, of_day / 60 % 60, of_day % 60, ns);
	return text;
}

struct clock_text clock_now_text(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return clock_text(now);
}

/* Exactly @n digits and then the byte @end (0: any), in [min, max]; moves *@s behind them. */
static bool take_number(const char **s, int n, char end, int min, int max, int *ret)
{
	int value = 0;

	for (; n--; (*s)++) {
		if (!isdigit((unsigned char)**s))
			return false;
		value = value * 10 + (**s - '0');
	}
	if (end && *(*s)++ != end)
		return false;
	*ret = value;
	return value >= min && value <= max;
}

static int days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month == 2 && year % 4 == 0 && (year % 100 || year % 400 == 0))
		return 29;
	return days[month - 1];
}

/* ".digits", or nothing; what is finer than a nanosecond is dropped. */
static bool take_fraction(const char **s, long *ret_ns)
{
	long ns = 0, unit = 100000000;

	if (**s == '.') {
		(*s)++;
		if (!isdigit((unsigned char)**s))
			return false;
		for (; isdigit((unsigned char)**s); (*s)++, unit /= 10)
			ns += unit * (**s - '0');
	}
	*ret_ns = ns;
	return true;
}

/* "Z" or "+hh:mm" or "-hh:mm", in seconds. */
static bool take_offset(const char **s, int *ret)
{
	char sign = *(*s)++;
	int hours, minutes;

	if (sign == 'Z' || sign == 'z') {
		*ret = 0;
		return true;
	}
	if (sign != '+' && sign != '-')
		return false;
	if (!take_number(s, 2, ':', 0, 23, &hours) || !take_number(s, 2, 0, 0, 59, &minutes))
		return false;
	*ret = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
	return true;
}

int clock_parse(const char *s, struct timespec *ret)
{
	int hour, minute, second, offset;
	struct date d;
	long ns;

	if (!take_number(&s, 4, '-', 0, 9999, &d.year) ||
	    !take_number(&s, 2, '-', 1, 12, &d.month) ||
	    !take_number(&s, 2, 0, 1, days_of_month(d.year, d.month), &d.day))
		return -EINVAL;
	if (*s != 'T' && *s != 't')
		return -EINVAL;
	s++;
	/* Second 60 is a leap second: the first one of the next minute, as the kernel counts. */
	if (!take_number(&s, 2, ':', 0, 23, &hour) || !take_number(&s, 2, ':', 0, 59, &minute) ||
	    !take_number(&s, 2, 0, 0, 60, &second) || !take_fraction(&s, &ns) ||
	    !take_offset(&s, &offset) || *s)
		return -EINVAL;
	ret->tv_sec = date_days(d) * DAY + hour * 3600 + minute * 60 + second - offset;
	ret->tv_nsec = ns;
	return 0;
}
