// A struct that both sides describe, in C++: `student write` keeps it, `student read` prints it; coview(1) shows its fields.

#include <coview.hpp>

#include <cstdio>
#include <cstring>
#include <iostream>

struct student {
    std::int32_t id;
    char name[20];
};

static const coview_field fields[] = {
    COVIEW_FIELD(student, id, COVIEW_TYPE_I32),
    COVIEW_FIELD_ARRAY(student, name, COVIEW_TYPE_U8, 20),
};
static const coview_layout layout = COVIEW_LAYOUT_RECORD(student, "Student", fields);

int main(int argc, char **argv) try {
    std::string name = argc > 2 ? argv[2] : "TestMemShare";
    if (argc > 1 && !std::strcmp(argv[1], "write")) {
        auto region = coview::region::create(name, layout, student{99041232, "SecBug"});
        std::cout << "until Return\n" << std::flush;
        std::getchar();
    } else {
        auto found = coview::region::open(name, layout).read<student>();
        std::cout << found.id << ' ' << found.name << '\n';
    }
} catch (const coview::error &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
