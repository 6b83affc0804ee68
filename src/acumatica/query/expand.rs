//! Nested `$select` and `$expand` of OData 4: a tree of entities, each with its own fields.

/// An entity with the fields and entities wanted of it, in the order they were named.
#[derive(Debug, Default)]
pub(super) struct Tree {
    name: String,
    fields: Vec<String>,
    /// Custom fields; they join the fields in `$select`.
    custom: Vec<String>,
    entities: Vec<Tree>,
}

impl Tree {
    /// The entity at a path with slashes below this one, made where it is new.
    pub(super) fn entity(&mut self, path: &str) -> &mut Tree {
        path.split('/').fold(self, |tree, name| {
            let index = match tree.entities.iter().position(|entity| entity.name == name) {
                Some(index) => index,
                None => {
                    tree.entities.push(Tree { name: name.to_owned(), ..Tree::default() });
                    tree.entities.len() - 1
                }
            };
            &mut tree.entities[index]
        })
    }

    pub(super) fn add(&mut self, field: &str) {
        super::add(&mut self.fields, field.to_owned());
    }

    pub(super) fn add_custom(&mut self, field: &str) {
        super::add(&mut self.custom, field.to_owned());
    }

    /// The fields; custom ones alone bring `*` along, or they would hide all others.
    pub(super) fn select(&self) -> String {
        let all = (self.fields.is_empty() && !self.custom.is_empty()).then_some("*");
        let names = self.fields.iter().chain(&self.custom).map(String::as_str);
        all.into_iter().chain(names).collect::<Vec<_>>().join(",")
    }

    pub(super) fn expand(&self) -> String {
        let each = self.entities.iter().map(|entity| {
            let (select, expand) = (entity.select(), entity.expand());
            let options: Vec<_> = [("$select", select), ("$expand", expand)]
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            if options.is_empty() {
                entity.name.clone()
            } else {
                format!("{}({})", entity.name, options.join(";"))
            }
        });
        each.collect::<Vec<_>>().join(",")
    }
}
