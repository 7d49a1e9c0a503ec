//! One declaration per type gives the type, its reader, its writer and its schema.
//!
//! ```text
//! json_struct! {
//!     /// What it is.
//!     #[derive(Clone, Debug, PartialEq)]
//!     pub struct Lock {
//!         /// Its name.
//!         path: ItemPath => "path";
//!         /// How many units there are.
//!         limit: u32 => "limit", shown 1;
//!         /// Where it came from.
//!         revision: Option<u32> => "itemRevision" | "revision", default None;
//!     }
//! }
//! ```
//! A member without default is required; `default` means omitted in JSON when equal to the default; `shown` means always
//! written. `| "name"` is an older name, read only. All fields are public. After the type, `check path;` names a function `fn(&Self) -> Checked<()>` that validates what was read;
//! `inspect path;` names a function `fn(&Self, &Doc) -> Option<()>` which reports what is wrong in its parts. `rewrite path;` after that names a function
//! `fn(&Node) -> Option<Node>` that turns an older form into the present one before it is read.
//!
//! `json_union!` declares an enum whose variants are told apart by the member `TYPE`:
//! `Variant => "Type" | "OldType";` or `Variant => "Type" { members… }`.

/// Declares a struct with its JSON form. See the module.
#[macro_export]
macro_rules! json_struct {
    (
        $(#[doc = $doc:literal])*
        $(#[derive($($derive:path),* $(,)?)])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])*
                $field:ident : $type:ty => $json:literal $(| $alias:literal)*
                    $(, default $default:expr)? $(, shown $shown:expr)? ;
            )*
        }
        $(check $check:path ;)?
        $(inspect $inspect:path ;)?
        $(rewrite $rewrite:path ;)?
    ) => {
        $(#[doc = $doc])*
        $(#[derive($($derive),*)])*
        $vis struct $name {
            $( $(#[doc = $field_doc])* pub $field: $type, )*
        }

        impl $crate::json::Json for $name {
            fn read(doc: &$crate::json::Doc<'_>) -> Option<Self> {
                $(
                    let rewritten = $rewrite(doc.node);
                    let rewritten_doc = rewritten.as_ref().map(|node| doc.replaced_by(node));
                    let doc = rewritten_doc.as_ref().unwrap_or(doc);
                )?
                let object = doc.object()?;
                $(
                    let $field: Option<$type> = $crate::json_member!(
                        @read object, $json, [$($alias),*], [$($default)?], [$($shown)?]
                    );
                )*
                object.warn_of_unknown();
                let value = Self { $( $field: $field?, )* };
                $(
                    if let Err(problem) = $check(&value) {
                        return doc.fail(problem);
                    }
                )?
                $( $inspect(&value, doc)?; )?
                Some(value)
            }

            #[allow(clippy::vec_init_then_push, reason = "the members come one by one from the declaration")]
            fn write(&self) -> $crate::value::Value {
                #[allow(unused_mut)]
                let mut members: alloc::vec::Vec<($crate::value::Name, $crate::value::Value)> = alloc::vec::Vec::new();
                $( $crate::json_member!(@write members, &self.$field, $type, $json, [$($default)?]); )*
                $crate::value::Value::Object(members.into_iter().collect())
            }

            #[allow(clippy::vec_init_then_push, reason = "the members come one by one from the declaration")]
            fn schema(schemas: &mut $crate::json::schema::Schemas) -> $crate::value::Value {
                schemas.define(stringify!($name), |schemas| {
                    #[allow(unused_mut)]
                    let mut members = alloc::vec::Vec::new();
                    $(
                        members.push($crate::json::schema::Member {
                            name: $json,
                            aliases: &[$($alias),*],
                            doc: $crate::json::schema::doc(&[$($field_doc),*]),
                            schema: <$type as $crate::json::Json>::schema(schemas),
                            required: $crate::json_member!(@required [$($default)?], [$($shown)?]),
                        });
                    )*
                    let _ = &schemas;
                    $crate::json::schema::object(&$crate::json::schema::doc(&[$($doc),*]), &[], members)
                })
            }
        }
    };
}

/// Declares an enum with its JSON form. See the module.
#[macro_export]
macro_rules! json_union {
    (
        $(#[doc = $doc:literal])*
        $(#[derive($($derive:path),* $(,)?)])*
        $vis:vis enum $name:ident {
            $(
                $(#[doc = $variant_doc:literal])*
                $variant:ident => $type_name:literal $(| $type_alias:literal)*
                $({
                    $(
                        $(#[doc = $field_doc:literal])*
                        $field:ident : $type:ty => $json:literal $(| $alias:literal)*
                            $(, default $default:expr)? $(, shown $shown:expr)? ;
                    )*
                })? ;
            )*
        }
        $(check $check:path ;)?
        $(rewrite $rewrite:path ;)?
    ) => {
        $(#[doc = $doc])*
        $(#[derive($($derive),*)])*
        #[allow(clippy::large_enum_variant, reason = "events and states are kept by the million, in boxes of their own")]
        $vis enum $name {
            $(
                $(#[doc = $variant_doc])*
                $variant $({ $( $(#[doc = $field_doc])* $field: $type, )* })?,
            )*
        }

        impl $name {
            /// The name of the variant in JSON.
            #[must_use]
            pub fn type_name(&self) -> &'static str {
                match self {
                    $( Self::$variant { .. } => $type_name, )*
                }
            }
        }

        impl $crate::json::Json for $name {
            fn read(doc: &$crate::json::Doc<'_>) -> Option<Self> {
                $(
                    let rewritten = $rewrite(doc.node);
                    let rewritten_doc = rewritten.as_ref().map(|node| doc.replaced_by(node));
                    let doc = rewritten_doc.as_ref().unwrap_or(doc);
                )?
                let object = doc.object()?;
                let type_name = doc.type_name()?;
                let value = match type_name {
                    $(
                        $type_name $(| $type_alias)* => {
                            $( $(
                                let $field: Option<$type> = $crate::json_member!(
                                    @read object, $json, [$($alias),*], [$($default)?], [$($shown)?]
                                );
                            )* )?
                            object.warn_of_unknown();
                            Self::$variant $({ $( $field: $field?, )* })?
                        }
                    )*
                    _ => return doc.unknown_type(type_name, &[$($type_name),*]),
                };
                $(
                    if let Err(problem) = $check(&value) {
                        return doc.fail(problem);
                    }
                )?
                Some(value)
            }

            #[allow(clippy::vec_init_then_push, reason = "the members come one by one from the declaration")]
            fn write(&self) -> $crate::value::Value {
                match self {
                    $(
                        Self::$variant $({ $( $field, )* })? => {
                            #[allow(unused_mut)]
                            let mut members: alloc::vec::Vec<($crate::value::Name, $crate::value::Value)> =
                                alloc::vec::Vec::from([("TYPE".into(), $crate::value::Value::from($type_name))]);
                            $( $( $crate::json_member!(@write members, $field, $type, $json, [$($default)?]); )* )?
                            $crate::value::Value::Object(members.into_iter().collect())
                        }
                    )*
                }
            }

            #[allow(clippy::vec_init_then_push, reason = "the members come one by one from the declaration")]
            fn schema(schemas: &mut $crate::json::schema::Schemas) -> $crate::value::Value {
                schemas.define(stringify!($name), |schemas| {
                    let variants = [
                        $({
                            #[allow(unused_mut)]
                            let mut members = alloc::vec::Vec::new();
                            $( $(
                                members.push($crate::json::schema::Member {
                                    name: $json,
                                    aliases: &[$($alias),*],
                                    doc: $crate::json::schema::doc(&[$($field_doc),*]),
                                    schema: <$type as $crate::json::Json>::schema(schemas),
                                    required: $crate::json_member!(@required [$($default)?], [$($shown)?]),
                                });
                            )* )?
                            let _ = &schemas;
                            $crate::json::schema::object(
                                &$crate::json::schema::doc(&[$($variant_doc),*]),
                                &[$type_name $(, $type_alias)*],
                                members,
                            )
                        },)*
                    ];
                    $crate::value::Value::object([("oneOf", $crate::value::Value::list(variants))])
                })
            }
        }
    };
}

/// Parts of the two macros above.
#[doc(hidden)]
#[macro_export]
macro_rules! json_member {
    (@read $object:ident, $json:literal, [$($alias:literal),*], [], []) => {
        $object.required($json, &[$($alias),*])
    };
    (@read $object:ident, $json:literal, [$($alias:literal),*], [$default:expr], []) => {
        $object.optional($json, &[$($alias),*], || $default)
    };
    (@read $object:ident, $json:literal, [$($alias:literal),*], [], [$default:expr]) => {
        $object.optional($json, &[$($alias),*], || $default)
    };
    (@write $members:ident, $value:expr, $type:ty, $json:literal, []) => {
        $members.push(($json.into(), $crate::json::Json::write($value)))
    };
    (@write $members:ident, $value:expr, $type:ty, $json:literal, [$default:expr]) => {{
        let default: $type = $default;
        if *$value != default {
            $members.push(($json.into(), $crate::json::Json::write($value)))
        }
    }};
    (@required [], []) => { true };
    (@required [$($default:expr)?], [$($shown:expr)?]) => { false };
}
