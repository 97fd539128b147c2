#include "cli/bench/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/jwrite.h"

enum { CELL_MAX = 160, COLUMNS = 6 };
#define DISTURBED_SHARE 0.1

/* ---- contents ---- */

report *report_new(void)
{
	return calloc(1, sizeof(report));
}

void report_free(report *r)
{
	free(r);
}

report_row *report_add(report *r)
{
	if (r->row_count < REPORT_ROWS_MAX) {
		r->row_count++;
	}
	report_row *row = &r->rows[r->row_count - 1];
	*row = (report_row){0};
	return row;
}

void report_add_fact(report *r, const char *name, const char *format, ...)
{
	va_list arguments;
	if (r->fact_count < REPORT_FACTS_MAX) {
		r->fact_count++;
	}
	struct report_fact *fact = &r->facts[r->fact_count - 1];
	snprintf(fact->name, sizeof fact->name, "%s", name);
	va_start(arguments, format);
	vsnprintf(fact->value, sizeof fact->value, format, arguments);
	va_end(arguments);
}

double report_ratio(const report_row *row)
{
	return row->baseline > 0 ? row->figure / row->baseline : 0;
}

report_verdict report_judge(const report_row *row)
{
	bool wants_ratio = row->ratio_at_most > 0 || row->ratio_at_least > 0;
	double ratio = report_ratio(row);
	if (row->problem[0] != '\0') {
		return REPORT_FAILED;
	}
	if ((row->figure_at_most > 0 && row->figure > row->figure_at_most) || row->figure < row->figure_at_least) {
		return REPORT_MISSED;
	}
	if (wants_ratio && row->baseline <= 0) {
		return REPORT_NOT_JUDGED;
	}
	if ((row->ratio_at_most > 0 && ratio > row->ratio_at_most) || ratio < row->ratio_at_least) {
		return REPORT_MISSED;
	}
	return wants_ratio || row->figure_at_most > 0 || row->figure_at_least > 0 ? REPORT_MET : REPORT_NOT_JUDGED;
}

bool report_has_failure(const report *r, bool missed_is_failure)
{
	for (uint32_t i = 0; i < r->row_count; i++) {
		report_verdict verdict = report_judge(&r->rows[i]);
		if (verdict == REPORT_FAILED || (verdict == REPORT_MISSED && missed_is_failure)) {
			return true;
		}
	}
	return false;
}

/* ---- cells ---- */

static const char *verdict_word(report_verdict verdict)
{
	switch (verdict) {
	case REPORT_MET:
		return "met";
	case REPORT_MISSED:
		return "missed";
	case REPORT_NOT_JUDGED:
		return "-";
	case REPORT_FAILED:
		return "FAILED";
	}
	return "-";
}

/* Three significant digits for small numbers, thousands apart for large ones. */
static void format_number(double value, char out[32])
{
	if (value < 0 || value >= 1e15) {
		snprintf(out, 32, "%.3g", value);
	} else if (value < 1000) {
		snprintf(out, 32, "%.*f", value < 10 ? 2 : value < 100 ? 1 : 0, value);
	} else {
		char digits[32];
		int len = snprintf(digits, sizeof digits, "%.0f", value);
		int at = 0;
		for (int i = 0; i < len; i++) {
			if (i > 0 && (len - i) % 3 == 0) {
				out[at++] = ' ';
			}
			out[at++] = digits[i];
		}
		out[at] = '\0';
	}
}

static void append_bound(char out[CELL_MAX], const char *sign, double value, const char *unit)
{
	char number[32];
	char whole[CELL_MAX];
	if (value > 0) {
		format_number(value, number);
		snprintf(whole, sizeof whole, "%s%s%s %s%s%s", out, out[0] != '\0' ? ", " : "", sign, number,
				 unit[0] != '\0' ? " " : "", unit);
		snprintf(out, CELL_MAX, "%s", whole);
	}
}

static void format_cells(const report_row *row, char cells[COLUMNS][CELL_MAX])
{
	char number[32];
	snprintf(cells[0], CELL_MAX, "%s", row->what);
	format_number(row->figure, number);
	snprintf(cells[1], CELL_MAX, "%s %s", number, row->unit);
	snprintf(cells[2], CELL_MAX, "-");
	snprintf(cells[3], CELL_MAX, "-");
	if (row->problem[0] != '\0') {
		snprintf(cells[1], CELL_MAX, "-");
	}
	if (row->baseline > 0) {
		format_number(row->baseline, number);
		snprintf(cells[2], CELL_MAX, "%s %s (%s)", number, row->unit, row->baseline_what);
	}
	if (row->baseline > 0 && row->problem[0] == '\0') {
		snprintf(cells[3], CELL_MAX, "%.2f", report_ratio(row));
	}
	cells[4][0] = '\0';
	append_bound(cells[4], "at most", row->figure_at_most, row->unit);
	append_bound(cells[4], "at least", row->figure_at_least, row->unit);
	append_bound(cells[4], "ratio at most", row->ratio_at_most, "");
	append_bound(cells[4], "ratio at least", row->ratio_at_least, "");
	if (cells[4][0] == '\0') {
		snprintf(cells[4], CELL_MAX, "-");
	}
	snprintf(cells[5], CELL_MAX, "%s", verdict_word(report_judge(row)));
}

static const char *const HEADINGS[COLUMNS] = {"what", "figure", "baseline", "ratio", "target", "verdict"};

/* Code points: every character used here is one column wide. */
static int width_of(const char *text)
{
	int width = 0;
	for (; *text != '\0'; text++) {
		width += ((unsigned char)*text & 0xC0) != 0x80;
	}
	return width;
}

static void append_padded(buf *out, const char *text, int width)
{
	buf_printf(out, "%s%*s", text, width - width_of(text) > 0 ? width - width_of(text) : 0, "");
}

/* "generator 1.20 s, server 3.40 s, Postgres 5.60 s, others 0.10 s in 8.00 s"; empty when nothing was measured. */
static void format_usage(const report_row *row, char out[CELL_MAX])
{
	char server[32] = "?";
	char postgres[32] = "?";
	out[0] = '\0';
	if (row->seconds <= 0) {
		return;
	}
	if (row->spent.has_server) {
		snprintf(server, sizeof server, "%.2f s", row->spent.server_s);
	}
	if (row->spent.has_postgres) {
		snprintf(postgres, sizeof postgres, "%.2f s", row->spent.postgres_s);
	}
	snprintf(out, CELL_MAX, "generator %.2f s, server %s, Postgres %s, others %.2f s in %.2f s", row->spent.generator_s,
			 server, postgres, usage_of_others(&row->spent), row->seconds);
}

/* Others took so much of the machine that the figure says little. */
static bool is_disturbed(const report_row *row)
{
	return usage_share_of_others(&row->spent, row->seconds) > DISTURBED_SHARE;
}

/* ---- forms ---- */

void report_write_text(const report *r, buf *out)
{
	int widths[COLUMNS];
	char cells[COLUMNS][CELL_MAX];
	char processor[CELL_MAX];
	for (int c = 0; c < COLUMNS; c++) {
		widths[c] = width_of(HEADINGS[c]);
	}
	for (uint32_t i = 0; i < r->row_count; i++) {
		format_cells(&r->rows[i], cells);
		for (int c = 0; c < COLUMNS; c++) {
			widths[c] = width_of(cells[c]) > widths[c] ? width_of(cells[c]) : widths[c];
		}
	}
	for (uint32_t i = 0; i < r->fact_count; i++) {
		buf_printf(out, "%s: %s\n", r->facts[i].name, r->facts[i].value);
	}
	buf_append_byte(out, '\n');
	for (int c = 0; c < COLUMNS; c++) {
		append_padded(out, HEADINGS[c], c + 1 < COLUMNS ? widths[c] + 2 : 0);
	}
	buf_append_byte(out, '\n');
	for (uint32_t i = 0; i < r->row_count; i++) {
		const report_row *row = &r->rows[i];
		format_cells(row, cells);
		for (int c = 0; c < COLUMNS; c++) {
			append_padded(out, cells[c], c + 1 < COLUMNS ? widths[c] + 2 : 0);
		}
		buf_append_byte(out, '\n');
		format_usage(row, processor);
		if (row->problem[0] != '\0') {
			buf_printf(out, "    %s\n", row->problem);
		}
		if (row->detail[0] != '\0') {
			buf_printf(out, "    %s\n", row->detail);
		}
		if (row->verified > 0) {
			buf_printf(out, "    read back: %llu records, each once, in order, unchanged\n",
					   (unsigned long long)row->verified);
		}
		if (processor[0] != '\0') {
			buf_printf(out, "    processor: %s\n", processor);
		}
		if (is_disturbed(row)) {
			buf_printf(out, "    DISTURBED: other processes had %.0f %% of the machine\n",
					   usage_share_of_others(&row->spent, row->seconds) * 100);
		}
	}
}

void report_write_markdown(const report *r, buf *out)
{
	char cells[COLUMNS][CELL_MAX];
	char processor[CELL_MAX];
	for (uint32_t i = 0; i < r->fact_count; i++) {
		buf_printf(out, "- %s: %s\n", r->facts[i].name, r->facts[i].value);
	}
	buf_append_str(out, STR("\n| what | figure | baseline | ratio | target | verdict |\n|---|---|---|---|---|---|\n"));
	for (uint32_t i = 0; i < r->row_count; i++) {
		format_cells(&r->rows[i], cells);
		for (int c = 0; c < COLUMNS; c++) {
			buf_printf(out, "| %s ", cells[c]);
		}
		buf_append_str(out, STR("|\n"));
	}
	buf_append_str(out, STR("\n| what | details | read back | processor time in the window |\n|---|---|---|---|\n"));
	for (uint32_t i = 0; i < r->row_count; i++) {
		const report_row *row = &r->rows[i];
		format_usage(row, processor);
		buf_printf(out, "| %s | %s%s%s | %llu | %s%s |\n", row->what, row->detail,
				   row->problem[0] != '\0' ? " FAILED: " : "", row->problem, (unsigned long long)row->verified,
				   processor, is_disturbed(row) ? " (disturbed)" : "");
	}
}

static void write_number(buf *out, const char *name, double value)
{
	buf_append_byte(out, ',');
	jwrite_key(out, name);
	buf_printf(out, "%.6g", value);
}

static void write_text(buf *out, const char *name, const char *value)
{
	buf_append_byte(out, ',');
	jwrite_key(out, name);
	jwrite_string(out, str_from_c(value));
}

static void write_row(const report_row *row, buf *out)
{
	buf_append_str(out, STR("{\"name\":"));
	jwrite_string(out, str_from_c(row->name));
	write_text(out, "what", row->what);
	write_text(out, "unit", row->unit);
	write_number(out, "figure", row->figure);
	if (row->baseline > 0) {
		write_number(out, "baseline", row->baseline);
		write_text(out, "baseline_what", row->baseline_what);
		write_number(out, "ratio", report_ratio(row));
	}
	const double bounds[] = {row->figure_at_most, row->figure_at_least, row->ratio_at_most, row->ratio_at_least};
	static const char *const NAMES[] = {"figure_at_most", "figure_at_least", "ratio_at_most", "ratio_at_least"};
	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
		if (bounds[i] > 0) {
			write_number(out, NAMES[i], bounds[i]);
		}
	}
	write_text(out, "verdict", verdict_word(report_judge(row)));
	write_text(out, "detail", row->detail);
	write_number(out, "verified_records", (double)row->verified);
	if (row->seconds > 0) {
		write_number(out, "window_seconds", row->seconds);
		write_number(out, "generator_cpu_seconds", row->spent.generator_s);
	}
	if (row->seconds > 0 && row->spent.has_server) {
		write_number(out, "server_cpu_seconds", row->spent.server_s);
	}
	if (row->seconds > 0 && row->spent.has_postgres) {
		write_number(out, "postgres_cpu_seconds", row->spent.postgres_s);
		write_number(out, "others_cpu_seconds", usage_of_others(&row->spent));
	}
	if (row->problem[0] != '\0') {
		write_text(out, "problem", row->problem);
	}
	buf_append_byte(out, '}');
}

void report_write_json(const report *r, buf *out)
{
	buf_append_str(out, STR("{\"facts\":{"));
	for (uint32_t i = 0; i < r->fact_count; i++) {
		buf_append_str(out, i > 0 ? STR(",") : STR(""));
		jwrite_string(out, str_from_c(r->facts[i].name));
		buf_append_byte(out, ':');
		jwrite_string(out, str_from_c(r->facts[i].value));
	}
	buf_append_str(out, STR("},\"results\":["));
	for (uint32_t i = 0; i < r->row_count; i++) {
		buf_append_str(out, i > 0 ? STR(",\n") : STR("\n"));
		write_row(&r->rows[i], out);
	}
	buf_append_str(out, STR("\n]}\n"));
}
