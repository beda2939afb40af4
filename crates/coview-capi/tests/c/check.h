/* What the test programs have in common. */

#ifndef CHECK_H
#define CHECK_H

#include "coview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with its line unless the call gave this status. */
#define EXPECT(wanted, call)                                                                                       \
    do {                                                                                                           \
        coview_status got_ = (call);                                                                               \
        if (got_ != (wanted)) {                                                                                    \
            fprintf(stderr, "%s:%d: %s: %s, not %s: %s\n", __FILE__, __LINE__, #call, coview_status_name(got_),    \
                    coview_status_name(wanted), coview_last_error());                                              \
            exit(1);                                                                                               \
        }                                                                                                          \
    } while (0)

#define OK(call) EXPECT(COVIEW_OK, call)

#define TRUE(condition)                                                                                            \
    do {                                                                                                           \
        if (!(condition)) {                                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                \
            exit(1);                                                                                               \
        }                                                                                                          \
    } while (0)

typedef struct student {
    int32_t id;
    char name[20];
} student;

static const coview_field student_fields[] = {
    COVIEW_FIELD(student, id, COVIEW_TYPE_I32),
    COVIEW_FIELD_ARRAY(student, name, COVIEW_TYPE_U8, 20),
};
static const coview_layout student_layout = COVIEW_LAYOUT_RECORD(student, "Student", student_fields);

#endif
